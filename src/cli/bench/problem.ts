import { type BlockMask, compileMask } from '../../mask/index.ts';
import type { Pattern } from '../../pattern/index.ts';

/** One attention problem, as plain data: a second process can be given the same. Batch 1, as many key/value heads as heads. */
export interface Problem {
  readonly pattern: Pattern;
  /** Queries and keys, N = M. */
  readonly length: number;
  readonly heads: number;
  /** Query, key and value width, D = E. */
  readonly width: number;
  readonly threads: number;
}

/** One way of computing it, with its inputs in place. */
export interface Contender extends AsyncDisposable {
  run(signal: AbortSignal): Promise<void>;
  /** One number of the result: head h, row i, channel d. Of the last run. */
  at(h: number, i: number, d: number): number;
}

export interface ContenderFactory {
  readonly name: string;
  /** What it is, for a person. */
  readonly what: string;
  /** Whether it computes the pattern; else it attends to every pair. */
  readonly sparse: boolean;
  prepare(problem: Problem): Promise<Contender>;
}

export function compileProblem({ pattern, length, heads }: Problem): BlockMask {
  return compileMask(pattern, { queries: length, keys: length, heads });
}

/**
 * About normally distributed numbers, the same for the same place: the four bytes of an integer hash, summed.
 * `which` is 0 for q, 1 for k, 2 for v.
 */
export function element(which: number, h: number, i: number, d: number): number {
  let bits = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(h * 3 + which + 1, 0x85ebca77) ^ Math.imul(d + 1, 0xc2b2ae3d);
  bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
  bits = Math.imul(bits ^ (bits >>> 12), 0x297a2d39);
  bits ^= bits >>> 15;
  const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
  // Four uniform bytes: mean 510, standard deviation 147.8.
  return (sum - 510) / 147.8;
}

/** Fills [H, rows, D], whose rows beyond the length stay as they are; or [N, H, D] where `rowsFirst`. */
export function fill(
  data: Float32Array,
  which: number,
  problem: Problem,
  layout: { rows?: number; rowsFirst?: boolean },
): void {
  const { length, heads, width } = problem;
  const rows = layout.rows ?? length;
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < length; i++) {
      const start = (layout.rowsFirst ? i * heads + h : h * rows + i) * width;
      for (let d = 0; d < width; d++) data[start + d] = element(which, h, i, d);
    }
  }
}

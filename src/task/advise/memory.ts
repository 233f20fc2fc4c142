import type { CostComparison } from '../../mask/index.ts';

/** Bytes of the process itself: the engine, the kernels, JavaScript's heap. */
export const PROCESS_BYTES = 200 * 2 ** 20;

/** Rows that pass through the layers together where a text is read in one pass. */
const CHUNK_ROWS = 2048;

export interface MemoryShape {
  readonly length: number;
  readonly heads: number;
  readonly width: number;
  readonly layers: number;
}

/** What a run holds at its peak, in float32. The model's weights come on top. */
export interface MemoryPlan {
  readonly bytes: number;
  /** Whether the text is read in one pass that keeps keys and values, or held whole, layer by layer. */
  readonly isStreamed: boolean;
}

/**
 * Memory of a model whose layers use `costs` in turn. A causal model reads a text in chunks: the keys and values that later
 * queries can still see, of every layer, and for one chunk q, k, v, the output and the hidden states. Any other holds for
 * the whole length the hidden states before and after a layer, and q, k, v and the output of that layer: 6 N H D numbers.
 */
export function planMemory(costs: readonly CostComparison[], shape: MemoryShape, isCausal: boolean): MemoryPlan {
  const { length, heads, width, layers } = shape;
  const row = 6 * heads * width * 4;
  if (!isCausal) return { bytes: PROCESS_BYTES + row * length, isStreamed: false };
  let cache = 0;
  for (let layer = 0; layer < layers; layer++) cache += costs[layer % costs.length]?.pattern.cacheBytes ?? 0;
  return { bytes: PROCESS_BYTES + cache + row * Math.min(length, CHUNK_ROWS), isStreamed: true };
}

/** What a library that writes the scores down would need for those of one layer: H N^2 numbers. */
export function scoreBytes({ length, heads }: MemoryShape): number {
  return 4 * heads * length ** 2;
}

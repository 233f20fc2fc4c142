import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from '../block-mask.ts';
import type { BlockGraph } from './block-graph.ts';

const PREFIXES = BLOCK_SIDE + 1;

/**
 * The normalized Laplacian L = I - D^-1/2 A D^-1/2 of an undirected graph (Chung, Spectral Graph Theory, section 1.2), with
 * zeros in the row and column of a token without neighbours. Its eigenvalues lie in [0, 2].
 */
export class Laplacian {
  readonly nodes: number;
  /** D^-1/2, 0 for a token without neighbours. */
  readonly #scale: Float64Array;
  readonly #graph: BlockGraph;
  /** For each block the sums of its first 0, 1, ..., T entries. */
  readonly #prefix: Float64Array;

  constructor(graph: BlockGraph, degree: Uint32Array) {
    this.nodes = graph.nodes;
    this.#graph = graph;
    this.#scale = Float64Array.from(degree, (d) => (d === 0 ? 0 : 1 / Math.sqrt(d)));
    this.#prefix = new Float64Array((graph.rows.rowStart.length - 1) * PREFIXES);
  }

  /** The unit vector that L maps to zero in a connected graph: D^1/2 1, normalized. */
  kernel(): Float64Array {
    const vector = this.#scale.map((scale) => (scale === 0 ? 0 : 1 / scale));
    const norm = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
    return vector.map((x) => x / norm);
  }

  /** out = L x. One addition for each full block of a row, one for each run of neighbours in the others. */
  apply(x: Float64Array, out: Float64Array): void {
    const { rows, bitmaps } = this.#graph;
    const scale = this.#scale;
    const blocks = rows.rowStart.length - 1;
    for (let i = 0; i < blocks; i++) this.#sumBlock(i, x);
    const prefix = this.#prefix;
    for (let i = 0; i < blocks; i++) {
      const first = i * BLOCK_SIDE;
      const count = Math.min(BLOCK_SIDE, this.nodes - first);
      let all = 0;
      out.fill(0, first, first + count);
      for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
        const start = (rows.column[e] ?? 0) * PREFIXES;
        const index = rows.bitmap[e] ?? FULL_BLOCK;
        if (index === FULL_BLOCK) {
          all += prefix[start + BLOCK_SIDE] ?? 0;
          continue;
        }
        for (let r = 0; r < count; r++) {
          const word = index * BITMAP_WORDS + r * 2;
          const sum = sumRuns(bitmaps[word] ?? 0, prefix, start) + sumRuns(bitmaps[word + 1] ?? 0, prefix, start + 32);
          out[first + r] = (out[first + r] ?? 0) + sum;
        }
      }
      for (let r = 0; r < count; r++) {
        const token = first + r;
        const own = scale[token] ?? 0;
        out[token] = own === 0 ? 0 : (x[token] ?? 0) - own * ((out[token] ?? 0) + all);
      }
    }
  }

  /** Prefix sums of D^-1/2 x over the tokens of one block. */
  #sumBlock(i: number, x: Float64Array): void {
    const first = i * BLOCK_SIDE;
    let sum = 0;
    for (let c = 0; c < BLOCK_SIDE; c++) {
      this.#prefix[i * PREFIXES + c] = sum;
      sum += (x[first + c] ?? 0) * (this.#scale[first + c] ?? 0);
    }
    this.#prefix[i * PREFIXES + BLOCK_SIDE] = sum;
  }

  /** The whole matrix [n, n]. */
  toDense(): Float64Array {
    const n = this.nodes;
    const matrix = new Float64Array(n * n);
    const unit = new Float64Array(n);
    const column = new Float64Array(n);
    for (let j = 0; j < n; j++) {
      unit[j] = 1;
      this.apply(unit, column);
      unit[j] = 0;
      matrix.set(column, j * n);
    }
    return matrix;
  }
}

/** The sum of the entries at the set bits of a word, from prefix sums that begin at `start`. */
function sumRuns(word: number, prefix: Float64Array, start: number): number {
  let sum = 0;
  for (let bits = word; bits !== 0; ) {
    const from = 31 - Math.clz32(bits & -bits);
    // Adding the lowest bit carries through its run of ones; what is left above is the rest.
    const rest = bits & (bits + (bits & -bits));
    const run = bits & ~rest;
    sum += (prefix[start + 32 - Math.clz32(run)] ?? 0) - (prefix[start + from] ?? 0);
    bits = rest;
  }
  return sum;
}

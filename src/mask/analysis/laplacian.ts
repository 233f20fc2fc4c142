import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from '../block-mask.ts';
import type { BlockGraph } from './block-graph.ts';

/**
 * The normalized Laplacian L = I - D^-1/2 A D^-1/2 of an undirected graph (Chung, Spectral Graph Theory, section 1.2), with
 * zeros in the row and column of a token without neighbours. Its eigenvalues lie in [0, 2].
 */
export class Laplacian {
  readonly nodes: number;
  /** D^-1/2, 0 for a token without neighbours. */
  readonly #scale: Float64Array;
  readonly #graph: BlockGraph;
  readonly #scaled: Float64Array;

  constructor(graph: BlockGraph, degree: Uint32Array) {
    this.nodes = graph.nodes;
    this.#graph = graph;
    this.#scale = Float64Array.from(degree, (d) => (d === 0 ? 0 : 1 / Math.sqrt(d)));
    this.#scaled = new Float64Array(graph.nodes);
  }

  /** The unit vector that L maps to zero in a connected graph: D^1/2 1, normalized. */
  kernel(): Float64Array {
    const vector = this.#scale.map((scale) => (scale === 0 ? 0 : 1 / scale));
    const norm = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
    return vector.map((x) => x / norm);
  }

  /** out = L x. One addition for each full block of a row, one for each edge of the others. */
  apply(x: Float64Array, out: Float64Array): void {
    const { rows, bitmaps } = this.#graph;
    const scale = this.#scale;
    const scaled = this.#scaled;
    const blocks = rows.rowStart.length - 1;
    const blockSum = new Float64Array(blocks);
    for (let token = 0; token < this.nodes; token++) {
      const value = (x[token] ?? 0) * (scale[token] ?? 0);
      scaled[token] = value;
      const block = Math.floor(token / BLOCK_SIDE);
      blockSum[block] = (blockSum[block] ?? 0) + value;
    }
    for (let i = 0; i < blocks; i++) {
      const first = i * BLOCK_SIDE;
      const count = Math.min(BLOCK_SIDE, this.nodes - first);
      let all = 0;
      out.fill(0, first, first + count);
      for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
        const j = rows.column[e] ?? 0;
        const index = rows.bitmap[e] ?? FULL_BLOCK;
        if (index === FULL_BLOCK) {
          all += blockSum[j] ?? 0;
          continue;
        }
        const target = j * BLOCK_SIDE;
        for (let r = 0; r < count; r++) {
          const word = index * BITMAP_WORDS + r * 2;
          let sum = 0;
          for (let bits = bitmaps[word] ?? 0; bits !== 0; bits &= bits - 1) {
            sum += scaled[target + 31 - Math.clz32(bits & -bits)] ?? 0;
          }
          for (let bits = bitmaps[word + 1] ?? 0; bits !== 0; bits &= bits - 1) {
            sum += scaled[target + 63 - Math.clz32(bits & -bits)] ?? 0;
          }
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

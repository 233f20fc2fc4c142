/** Rows of the embedding, read from the table as it is stored, so that a quantized table is never expanded as a whole. */
import { type StoredTensor, toFloat32 } from '../checkpoint/index.ts';
import { ArgumentError } from '../errors.ts';

/** A stored table [vocabulary, hidden]. */
export class Embedding {
  readonly vocabularySize: number;
  readonly width: number;
  readonly #table: StoredTensor;
  readonly #rowBytes: number;

  constructor(table: StoredTensor) {
    const [vocabularySize = 0, width = 0] = table.shape;
    this.vocabularySize = vocabularySize;
    this.width = width;
    this.#table = table;
    this.#rowBytes = table.data.byteLength / vocabularySize;
  }

  get bytes(): number {
    return this.#table.data.byteLength;
  }

  /** Writes the rows of `ids` [n] to `into` [n, hidden]. The ids must be in the vocabulary: see checkIds(). */
  gather(ids: ArrayLike<number>, into: Float32Array): void {
    for (let i = 0; i < ids.length; i++) into.set(this.#row(ids[i] ?? -1), i * this.width);
  }

  /** Adds to each row of `sums` [rows, width] the table's rows of its ids [rows, n], -1 for none. */
  addTo(sums: Float32Array, ids: Int32Array, rows: number): void {
    const each = ids.length / rows;
    for (const [at, id] of ids.entries()) {
      if (id < 0) continue;
      const row = this.#row(id);
      const to = Math.floor(at / each) * this.width;
      for (let i = 0; i < this.width; i++) sums[to + i] += row[i] as number;
    }
  }

  #row(id: number): Float32Array {
    const { name, type, data } = this.#table;
    const own = data.subarray(id * this.#rowBytes, (id + 1) * this.#rowBytes);
    return toFloat32({ name, type, shape: [1, this.width], data: own });
  }

  /** @throws ArgumentError that names the place. */
  checkIds(name: string, ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? -1;
      if (!Number.isInteger(id) || id < 0 || id >= this.vocabularySize) {
        throw new ArgumentError(
          `${name}[${i}] is ${id}; token ids of this model are integers from 0 to ${this.vocabularySize - 1}`,
        );
      }
    }
  }
}

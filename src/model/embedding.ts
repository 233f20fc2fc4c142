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
    const { name, type, data } = this.#table;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] ?? -1;
      const row = data.subarray(id * this.#rowBytes, (id + 1) * this.#rowBytes);
      into.set(toFloat32({ name, type, shape: [1, this.width], data: row }), i * this.width);
    }
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

/** Inputs of a graph that keep their memory from call to call. */
import type { HostTensor } from '../graph/index.ts';

/** An input [rows, width] that grows to the longest chunk and keeps one tensor while the number of rows stays. */
export class RowBuffer {
  readonly #width: number;
  #data = new Float32Array(0);
  #tensor: Extract<HostTensor, { type: 'float32' }> | undefined;

  constructor(width: number) {
    this.#width = width;
  }

  tensor(rows: number): Extract<HostTensor, { type: 'float32' }> {
    if (this.#tensor?.shape[0] === rows) return this.#tensor;
    const length = rows * this.#width;
    if (this.#data.length < length) this.#data = new Float32Array(length);
    this.#tensor = { type: 'float32', data: this.#data.subarray(0, length), shape: [rows, this.#width] };
    return this.#tensor;
  }
}

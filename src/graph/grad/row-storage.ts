/** Rows that a training step keeps in 16 bits, and the float32 in which segments compute. */
import { fromStorage, type Tensor, toStorage } from '../../attention/index.ts';
import type { HostTensor } from '../backend.ts';
import type { Edge } from '../edge.ts';

/** Rows as they are stored: float32, or the bits of f16 or bf16. */
export type StoredRows = Float32Array | Uint16Array;

/** Numbers and how they are stored. */
export type StoredNumbers = Pick<Tensor<StoredRows>, 'data' | 'type'>;

/** Writes rows [rows, width] of one type as those of another; one of them is f32. `from` is undefined after it. */
export type Convert = (from: StoredNumbers, to: StoredNumbers, width: number) => Promise<void>;

/** In JavaScript: exact, but some times slower than the kernels. */
export const convertPlainly: Convert = async (from, to) => {
  if (from.data instanceof Uint16Array) {
    if (from.type !== 'f16' && from.type !== 'bf16') return;
    (to.data as Float32Array).set(fromStorage(from.data, from.type));
  } else if (to.type === 'f16' || to.type === 'bf16') toStorage(from.data, to.type, to.data as Uint16Array);
};

/** Float32 tensors for ranges of rows of edges that are stored in 16 bits: one memory for all operations, one range at a time. */
export class Staging {
  readonly #allocate: (count: number, type: 'f32') => Float32Array;
  readonly #free: (buffer: Float32Array) => void;
  #memory: Float32Array = new Float32Array(0);

  constructor(allocate: (count: number, type: 'f32') => Float32Array, free: (buffer: Float32Array) => void) {
    this.#allocate = allocate;
    this.#free = free;
  }

  /** In the order of the edges, one after the other. Valid until the next call. */
  tensors(edges: readonly Edge[], rows: number): HostTensor[] {
    const total = edges.reduce((sum, { width = 0 }) => sum + aligned(rows * width), 0);
    if (this.#memory.length < total) {
      this.release();
      this.#memory = this.#allocate(total, 'f32');
    }
    let offset = 0;
    return edges.map(({ width = 0, value }): HostTensor => {
      const data = this.#memory.subarray(offset, offset + rows * width);
      offset += aligned(rows * width);
      return { type: 'float32', data, shape: [rows, ...(value.shape.slice(1) as number[])] };
    });
  }

  release(): void {
    if (this.#memory.length > 0) this.#free(this.#memory);
    this.#memory = new Float32Array(0);
  }
}

/** Each tensor begins at a line of the processor's cache. */
function aligned(floats: number): number {
  return Math.ceil(floats / 16) * 16;
}

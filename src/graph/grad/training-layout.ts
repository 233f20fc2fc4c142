import { MemoryError } from '../../errors.ts';
import { Buffers } from '../buffers.ts';
import type { Plan } from './training-plan.ts';

/** Where the buffers of what attention reads and writes come from. */
export interface AttentionMemory {
  readonly allocate?: (floats: number) => Float32Array;
  readonly free?: (buffer: Float32Array) => void;
}

/** A plan and the memory that it runs in. */
export class Layout {
  readonly plan: Plan;
  readonly #buffers: readonly Buffers[];

  constructor(plan: Plan, { allocate, free }: AttentionMemory) {
    this.plan = plan;
    const plain = (floats: number) => new Float32Array(floats);
    const own = new WeakSet<Float32Array>();
    /** Where the kernels' memory is full the buffer is an ordinary array, which attention copies. */
    const shared = (floats: number): Float32Array => {
      try {
        const buffer = allocate === undefined ? plain(floats) : allocate(floats);
        own.add(buffer);
        return buffer;
      } catch (error) {
        if (error instanceof MemoryError) return plain(floats);
        throw error;
      }
    };
    const { lifetimes, attention } = plan;
    this.#buffers = [
      new Buffers(
        lifetimes.filter(({ edge }) => attention.has(edge)),
        shared,
        (buffer) => own.delete(buffer) && free?.(buffer),
      ),
      new Buffers(
        lifetimes.filter(({ edge }) => !attention.has(edge)),
        plain,
      ),
    ];
  }

  get floatsPerRow(): number {
    return this.#buffers.reduce((sum, buffers) => sum + buffers.floatsPerRow, 0);
  }

  bind(rows: number): void {
    for (const buffers of this.#buffers) buffers.bind(rows);
  }

  release(): void {
    for (const buffers of this.#buffers) buffers.release();
  }
}

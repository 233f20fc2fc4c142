import type { NumberType } from '../../attention/index.ts';
import { MemoryError } from '../../errors.ts';
import { Buffers } from '../buffers.ts';
import type { Edge } from '../edge.ts';
import { Staging, type StoredRows } from './row-storage.ts';
import type { Plan } from './training-plan.ts';

/** Where the buffers of what attention reads and writes, and of all rows of 16 bits, come from. */
export interface RowMemory {
  readonly allocate?: (count: number, type: NumberType) => StoredRows;
  readonly free?: (buffer: StoredRows) => void;
}

/** A plan and the memory that it runs in. */
export class Layout {
  readonly plan: Plan;
  /** Edges whose rows are stored in 16 bits: those between operations, but for what the caller reads. */
  readonly halves: ReadonlySet<Edge>;
  readonly staging: Staging;
  readonly #floats: readonly Buffers[];
  readonly #halves: Buffers<StoredRows>;

  constructor(plan: Plan, { allocate, free }: RowMemory, precision: NumberType) {
    this.plan = plan;
    const own = new WeakSet<StoredRows>();
    /** Where the kernels' memory is full the buffer is an ordinary array, which attention copies. */
    const shared = (count: number, type: NumberType): StoredRows => {
      try {
        const buffer = allocate?.(count, type) ?? plainRows(count, type);
        own.add(buffer);
        return buffer;
      } catch (error) {
        if (error instanceof MemoryError) return plainRows(count, type);
        throw error;
      }
    };
    const giveBack = (buffer: StoredRows) => {
      if (own.delete(buffer)) free?.(buffer);
    };
    const { lifetimes, attention, kept, logSumExps } = plan;
    this.halves = new Set(
      precision === 'f32'
        ? []
        : lifetimes.flatMap(({ edge }) =>
            edge.byRows && edge.value.type === 'float32' && !kept.has(edge) && !logSumExps.has(edge) ? [edge] : [],
          ),
    );
    const sharedFloats = (count: number) => shared(count, 'f32') as Float32Array;
    this.staging = new Staging(sharedFloats, giveBack);
    const floats = lifetimes.filter(({ edge }) => !this.halves.has(edge));
    this.#floats = [
      new Buffers(
        floats.filter(({ edge }) => attention.has(edge)),
        sharedFloats,
        giveBack,
      ),
      new Buffers<Float32Array>(
        floats.filter(({ edge }) => !attention.has(edge)),
        (count) => new Float32Array(count),
      ),
    ];
    this.#halves = new Buffers(
      lifetimes.filter(({ edge }) => this.halves.has(edge)),
      (count) => shared(count, precision),
      giveBack,
    );
  }

  get bytesPerRow(): number {
    return this.#floats.reduce((sum, buffers) => sum + 4 * buffers.floatsPerRow, 2 * this.#halves.floatsPerRow);
  }

  bind(rows: number): void {
    for (const buffers of [...this.#floats, this.#halves]) buffers.bind(rows);
  }

  release(): void {
    for (const buffers of [...this.#floats, this.#halves]) buffers.release();
    this.staging.release();
  }
}

function plainRows(count: number, type: NumberType): StoredRows {
  return type === 'f32' ? new Float32Array(count) : new Uint16Array(count);
}

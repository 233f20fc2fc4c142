import type { Edge } from './edge.ts';
import type { TensorData } from './ir.ts';
import { createData } from './tensor-data.ts';

/** When a value exists: from the stage that makes it to the last one that reads it, both included. */
export interface Lifetime {
  readonly edge: Edge;
  readonly first: number;
  readonly last: number;
  /** Whether the stage that makes it lets it take the memory of a value of the same width that the stage reads last. */
  readonly inPlace?: boolean;
  /** A value whose memory it takes, where the stage that makes this one is the last to read that. */
  readonly over?: Edge | undefined;
}

/**
 * The memory between stages. Values whose lifetimes do not meet share a slot, so a model of any depth needs the buffers of
 * about one layer. Slots are for float32 values, stored as `allocate` says, and sized per row; the few values of other types or without rows have memory of their own.
 */
export class Buffers<Rows extends TensorData = Float32Array> {
  readonly #slots: { width: number; buffer: Rows | undefined }[] = [];
  readonly #slotOf = new Map<Edge, number>();
  readonly #others: { readonly edge: Edge; data: TensorData }[] = [];
  readonly #allocate: (floats: number) => Rows;
  readonly #free: ((buffer: Rows) => void) | undefined;
  #rows = 0;

  constructor(lifetimes: readonly Lifetime[], allocate: (floats: number) => Rows, free?: (buffer: Rows) => void) {
    this.#allocate = allocate;
    this.#free = free;
    const busyUntil: number[] = [];
    /** The value that a slot holds. */
    const holders: Edge[] = [];
    for (const { edge, first, last, inPlace = false, over } of [...lifetimes].sort((a, b) => a.first - b.first)) {
      if (!edge.byRows || edge.value.type !== 'float32') {
        this.#others.push({ edge, data: createData(edge.value.type, 0) });
        continue;
      }
      const width = edge.width ?? 0;
      // Of the same width, so that its rows lie as far apart.
      const isGiven = (holder: Edge) => holder.width === width && (inPlace || holder === over);
      const given = holders.findIndex((holder, slot) => busyUntil[slot] === first && isGiven(holder));
      const slot = given >= 0 ? given : this.#bestSlot(width, busyUntil, first);
      busyUntil[slot] = last;
      holders[slot] = edge;
      this.#slotOf.set(edge, slot);
    }
  }

  get floatsPerRow(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.width, 0);
  }

  /** The slot of a value; undefined where it has memory of its own. */
  slotOf(edge: Edge): number | undefined {
    return this.#slotOf.get(edge);
  }

  /** Binds every value to its memory, which has room for this many rows. */
  bind(rows: number): void {
    const grow = rows > this.#rows;
    if (grow) {
      this.#giveBack();
      for (const slot of this.#slots) slot.buffer = this.#allocate(rows * slot.width);
      for (const other of this.#others) {
        const { value, byRows, width = 0 } = other.edge;
        other.data = createData(value.type, (byRows ? rows : 1) * width);
      }
      this.#rows = rows;
    }
    for (const { edge, data } of this.#others) edge.bind(data);
    for (const [edge, index] of this.#slotOf) {
      const buffer = this.#slots[index]?.buffer;
      if (buffer !== undefined) edge.bind(buffer);
    }
  }

  release(): void {
    this.#giveBack();
    for (const edge of this.#slotOf.keys()) edge.release();
    for (const other of this.#others) {
      other.data = createData(other.edge.value.type, 0);
      other.edge.release();
    }
    this.#rows = 0;
  }

  #giveBack(): void {
    for (const slot of this.#slots) {
      if (slot.buffer !== undefined) this.#free?.(slot.buffer);
      slot.buffer = undefined;
    }
  }

  /** The narrowest free slot that is wide enough, else the widest free one, widened, else a new one. */
  #bestSlot(width: number, busyUntil: readonly number[], first: number): number {
    let best = -1;
    let bestWidth = 0;
    for (const [index, slot] of this.#slots.entries()) {
      if ((busyUntil[index] ?? -1) >= first) continue;
      const better =
        best === -1 || (bestWidth < width ? slot.width > bestWidth : slot.width >= width && slot.width < bestWidth);
      if (better) {
        best = index;
        bestWidth = slot.width;
      }
    }
    const slot = this.#slots[best];
    if (slot === undefined) return this.#slots.push({ width, buffer: undefined }) - 1;
    slot.width = Math.max(slot.width, width);
    return best;
  }
}

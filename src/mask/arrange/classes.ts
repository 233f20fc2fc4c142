/**
 * Tokens as cells of a grid (the last axis fastest), put into classes: those of one class agree on every axis but the `free`
 * ones. The first axis may be endless and is then free: [Infinity, d] with the first axis free are the residues modulo d. The
 * tokens of a class have indices in the order of their positions, from 0 for its first token that is not negative.
 */
export class TokenClasses {
  readonly sizes: readonly number[];
  readonly free: readonly number[];
  /** Number of classes. */
  readonly count: number;
  /** Tokens of a class, Infinity where the first axis is endless. */
  readonly size: number;
  /** Distance in tokens between neighbours of a class, where it is always the same. */
  readonly step: number | undefined;
  readonly #strides: readonly number[];
  readonly #fixed: readonly number[];
  /** Tokens of a class that share their place on the first axis. */
  readonly #inner: number;

  constructor(sizes: readonly number[], free: readonly number[]) {
    this.sizes = sizes;
    this.free = [...free].sort((a, b) => a - b);
    this.#fixed = sizes.map((_, axis) => axis).filter((axis) => !free.includes(axis));
    this.#strides = sizes.map((_, axis) => product(sizes.slice(axis + 1)));
    this.count = product(this.#fixed.map((axis) => sizes[axis] ?? 1));
    this.size = product(this.free.map((axis) => sizes[axis] ?? 1));
    this.#inner = product(this.free.filter((axis) => axis > 0).map((axis) => sizes[axis] ?? 1));
    this.step = this.#stepBetween();
  }

  /** Position of the token with an index in class c. */
  position(c: number, index: number): number {
    return this.#place(this.#fixed, c) + (this.step === undefined ? this.#place(this.free, index) : this.step * index);
  }

  /** The class of a position and its index there; undefined outside the grid. */
  locate(position: number): { readonly c: number; readonly index: number } | undefined {
    const top = Math.floor(position / (this.#strides[0] ?? 1));
    if (this.sizes[0] !== Infinity && (top < 0 || top >= (this.sizes[0] ?? 1))) return undefined;
    const digits = this.sizes.map((size, axis) => (axis === 0 ? top : modulo(this.#digit(axis, position), size)));
    const read = (axes: readonly number[]): number =>
      axes.reduce((value, axis) => value * (axis === 0 ? 1 : (this.sizes[axis] ?? 1)) + (digits[axis] ?? 0), 0);
    return { c: read(this.#fixed), index: read(this.free) };
  }

  /** Least index of class c whose position is at least `position`; `size` where there is none. */
  indexFrom(c: number, position: number): number {
    const isEndless = this.size === Infinity;
    if (this.step !== undefined) {
      const index = Math.floor((position - this.#place(this.#fixed, c) + this.step - 1) / this.step);
      return isEndless ? index : Math.min(this.size, Math.max(0, index));
    }
    // Where the first axis is free, indices with another place on it are before or after by that alone.
    const top = Math.floor(position / (this.#strides[0] ?? 1));
    let low = this.free[0] === 0 ? top * this.#inner : 0;
    let high = this.free[0] === 0 ? low + this.#inner : this.size;
    if (!isEndless) {
      low = Math.min(this.size, Math.max(0, low));
      high = Math.min(this.size, Math.max(0, high));
    }
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.position(c, middle) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #digit(axis: number, position: number): number {
    return Math.floor(position / (this.#strides[axis] ?? 1));
  }

  /** The part of a position that the digits of `value` on some of the axes make; the first of them takes what is left. */
  #place(axes: readonly number[], value: number): number {
    let rest = value;
    let place = 0;
    for (let i = axes.length - 1; i >= 0; i--) {
      const axis = axes[i] ?? 0;
      const size = this.sizes[axis] ?? 1;
      const above = i === 0 ? 0 : Math.floor(rest / size);
      place += (rest - (i === 0 ? 0 : above * size)) * (this.#strides[axis] ?? 1);
      rest = above;
    }
    return place;
  }

  #stepBetween(): number | undefined {
    const axes = this.free.filter((axis) => (this.sizes[axis] ?? 1) > 1);
    const last = axes[axes.length - 1];
    if (last === undefined) return 1;
    for (let i = 0; i + 1 < axes.length; i++) {
      const [outer, inner] = [axes[i] ?? 0, axes[i + 1] ?? 0];
      if (this.#strides[outer] !== (this.#strides[inner] ?? 1) * (this.sizes[inner] ?? 1)) return undefined;
    }
    return this.#strides[last];
  }
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}

function modulo(value: number, size: number): number {
  return ((value % size) + size) % size;
}

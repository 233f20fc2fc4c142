import { ArgumentError } from '../errors.ts';
import type { HostTensor, RowSource } from './backend.ts';
import { ROWS, type TensorData, type Value } from './ir.ts';
import { describeShape, hostTensor } from './tensor-data.ts';

/** A value that a program keeps between stages: its memory in this run, and views of ranges of its rows. */
export class Edge {
  readonly value: Value;
  /** Whether the first dimension is the symbolic 'rows', so that the value is computed in chunks. */
  readonly byRows: boolean;
  /** Elements of one row, or of the whole value. Undefined where a dimension is unknown; such a value can only be fed whole. */
  readonly width: number | undefined;
  /** Rows below are relative to this one: a segment that runs for the last rows only makes values that start there. */
  firstRow = 0;
  #whole: HostTensor | undefined;
  #data: TensorData | undefined;
  #source: RowSource | undefined;
  #view: { readonly offset: number; readonly count: number; readonly tensor: HostTensor } | undefined;

  constructor(value: Value) {
    this.value = value;
    this.byRows = value.shape[0] === ROWS;
    const rest = this.byRows ? value.shape.slice(1) : value.shape;
    this.width = rest.reduce<number | undefined>(
      (product, d) => (product === undefined || typeof d === 'string' ? undefined : product * d),
      1,
    );
    if (this.byRows && this.width === undefined) {
      throw new ArgumentError(
        `value ${value.name}: only the first dimension may be symbolic, it is ${describeShape(value.shape)}`,
      );
    }
  }

  /** Sets the memory of this run. */
  bind(data: TensorData): void {
    if (this.#data !== data) this.#view = undefined;
    this.#data = data;
    this.#source = undefined;
    this.#whole = undefined;
  }

  /** Sets a tensor of the caller's, which is passed on as it is where it is used whole. */
  bindTensor(tensor: HostTensor): void {
    if (this.#data !== tensor.data) this.#view = undefined;
    this.#data = tensor.data;
    this.#source = undefined;
    this.#whole = tensor;
  }

  /** Sets what makes the rows when a segment reads them. */
  bindSource(source: RowSource): void {
    this.release();
    this.#source = source;
  }

  /** Rows from..to - 1 of the source; undefined where there is none. */
  read(from: number, to: number): Promise<HostTensor> | undefined {
    return this.#source === undefined ? undefined : this.#fromSource(this.#source, from, to);
  }

  async #fromSource(source: RowSource, from: number, to: number): Promise<HostTensor> {
    const data = await source.rows(from, to);
    return hostTensor(this.value.type, data, [to - from, ...(this.value.shape.slice(1) as number[])]);
  }

  /** Lets go of the memory. */
  release(): void {
    this.#data = undefined;
    this.#source = undefined;
    this.#whole = undefined;
    this.#view = undefined;
  }

  get data(): TensorData {
    if (this.#data === undefined) throw new ArgumentError(`value ${this.value.name} has not been computed`);
    return this.#data;
  }

  /** Rows from..to - 1 of this run's rows as a tensor; the whole value where it has no rows. Kept while the range is the same. */
  tensor(from: number, to: number): HostTensor {
    const { shape, type } = this.value;
    if (this.#whole !== undefined) {
      if (!this.byRows || (from === this.firstRow && to - from === this.#whole.shape[0])) return this.#whole;
    }
    const offset = from - this.firstRow;
    const count = to - from;
    if (this.#view?.offset === offset && this.#view.count === count) return this.#view.tensor;
    const tensor = this.byRows
      ? hostTensor(type, this.rows(from, to), [to - from, ...(shape.slice(1) as number[])])
      : hostTensor(type, this.data.subarray(0, this.width), shape as number[]);
    this.#view = { offset, count, tensor };
    return tensor;
  }

  /** The elements of rows from..to - 1. */
  rows(from: number, to: number): TensorData {
    const width = this.width ?? 0;
    return this.data.subarray((from - this.firstRow) * width, (to - this.firstRow) * width);
  }
}

import { BLOCK_SIDE } from '../../mask/index.ts';
import { strides } from '../problem.ts';
import { bitsOf, NUMBER_BYTES, numberType } from '../storage.ts';
import type { NumberArray, Tensor } from '../types.ts';
import type { Heap } from './heap.ts';
import type { BlockedPlace, Job } from './job.ts';

/** The part of a problem that one job computes: some batch entries, some key/value heads. */
export interface Part {
  readonly batch: number;
  readonly batches: number;
  readonly group: number;
  readonly groups: number;
}

/** The arrays of one job in the kernels' memory: those that lie there already, and copies of the others. */
export class Arena {
  readonly #heap: Heap;
  readonly #part: Part;
  readonly #allocated: number[] = [];
  readonly #results: (() => void)[] = [];
  readonly #rounding: Job[] = [];

  constructor(heap: Heap, part: Part) {
    this.#heap = heap;
    this.#part = part;
  }

  allocate(bytes: number): number {
    const address = this.#heap.allocate(bytes);
    this.#allocated.push(address);
    return address;
  }

  /** Where some numbers lie: their own place in the kernels' memory, or that of a copy; 0 for undefined. */
  numbers(values: Float32Array | undefined): number {
    if (values === undefined) return 0;
    const known = this.#heap.addressOf(values);
    if (known !== undefined) return known;
    const address = this.allocate(4 * values.length);
    this.#heap.floats(address, values.length).set(values);
    return address;
  }

  /** Some words of 32 bits. */
  words(values: readonly number[]): number {
    const address = this.allocate(4 * values.length);
    this.#heap.words(address, values.length).set(values);
    return address;
  }

  /** Room for `length` numbers that end up in `to` from `start` on. */
  numbersOut(to: Float32Array, start: number, length: number): number {
    const address = this.allocate(4 * length);
    this.#results.push(() => to.set(this.#heap.floats(address, length), start));
    return address;
  }

  /** The part's batches and the heads [first, first + count) of a tensor, to be read. */
  input(tensor: Tensor<NumberArray>, first: number, count: number): BlockedPlace {
    return this.#place(tensor, first, count, 'in');
  }

  /** The same, to be written: finish() brings it back. */
  output(tensor: Tensor<NumberArray>, first: number, count: number): BlockedPlace {
    return this.#place(tensor, first, count, 'out');
  }

  /**
   * Where several jobs add up a result of rows [heads, rows, width] in f32, one after the other: its own place where it is f32. Else
   * what round() then gives to it.
   */
  sums(result: BlockedPlace, heads: number, rows: number, width: number): BlockedPlace {
    if (result.type === 'f32') return result;
    const { batches } = this.#part;
    const address = this.allocate(4 * batches * heads * rows * width);
    const head = 4 * rows * width;
    const sums = {
      address,
      type: 'f32' as const,
      batch: heads * head,
      head,
      row: 4 * width,
      block: 4 * width * BLOCK_SIDE,
    };
    this.#rounding.push({ ...roundingJob(batches, heads, rows, width), q: sums, k: sums, v: sums, output: result });
    return sums;
  }

  /** The jobs that round what was added up. */
  roundings(): Job[] {
    return this.#rounding.splice(0);
  }

  /** Copies the results to where they belong. */
  finish(): void {
    for (const bring of this.#results.splice(0)) bring();
  }

  free(): void {
    for (const address of this.#allocated.splice(0)) this.#heap.free(address);
  }

  #place(tensor: Tensor<NumberArray>, first: number, count: number, way: 'in' | 'out'): BlockedPlace {
    const { batch, batches } = this.#part;
    const at = strides(tensor);
    const rows = tensor.layout === 'BNHD' ? tensor.shape[1] : tensor.shape[2];
    const width = tensor.shape[3];
    const start = batch * at.batch + first * at.head;
    const type = numberType('tensor', tensor);
    const bytes = NUMBER_BYTES[type];
    const data = bitsOf(tensor.data);
    const place = (address: number, a: { batch: number; head: number; row: number }) => ({
      address,
      type,
      batch: bytes * a.batch,
      head: bytes * a.head,
      row: bytes * a.row,
      block: bytes * a.row * BLOCK_SIDE,
    });
    const known = this.#heap.addressOf(data);
    if (known !== undefined) return place(known + bytes * start, at);
    const size = count * rows * width;
    const address = this.allocate(bytes * batches * size);
    const copy =
      type === 'f32' ? this.#heap.floats(address, batches * size) : this.#heap.halves(address, batches * size);
    if (size === 0) return place(address, at);
    if (size === at.batch) {
      if (way === 'in') copy.set(data.subarray(start, start + batches * size));
      else this.#results.push(() => data.set(copy, start));
      return place(address, at);
    }
    if (way === 'in')
      eachRun(tensor, start, count, (from, to, length) => copy.set(data.subarray(from, from + length), to));
    else
      this.#results.push(() =>
        eachRun(tensor, start, count, (to, from, length) => data.set(copy.subarray(from, from + length), to)),
      );
    return place(address, { batch: 0, head: rows * width, row: width });
  }
}

export function roundingJob(
  batch: number,
  heads: number,
  queries: number,
  width: number,
): Omit<Job, 'q' | 'k' | 'v' | 'output'> {
  return {
    rounds: true,
    batch,
    heads,
    keyValueHeads: heads,
    queries,
    queryWidth: width,
    valueWidth: width,
    lse: 0,
    scale: 1,
    sinkLogits: 0,
    mask: { heads: 0, bitmaps: 0, ranges: 0 },
  };
}

/** The contiguous runs of `count` heads from `start` on: place in the tensor, place in [heads, rows, width], length. */
function eachRun(
  tensor: Tensor<NumberArray>,
  start: number,
  count: number,
  visit: (inTensor: number, inCopy: number, length: number) => void,
): void {
  const { head, row } = strides(tensor);
  const width = tensor.shape[3];
  const rows = tensor.layout === 'BNHD' ? tensor.shape[1] : tensor.shape[2];
  for (let h = 0; h < count; h++) {
    if (row === width) visit(start + h * head, h * rows * width, rows * width);
    else for (let i = 0; i < rows; i++) visit(start + h * head + i * row, (h * rows + i) * width, width);
  }
}

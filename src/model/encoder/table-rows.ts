/** Rows of a stored table, looked up in the file for the rows of a batch as they are needed. */
import type { HostTensor, RowSource } from '../../graph/index.ts';

/** The longest stretch of the file that is read at once, in rows. */
const LONGEST_STRETCH = 64;

/** A table [count, width] and the input that holds the ids of its rows. */
export class TableRows {
  readonly #ids: string;
  readonly #read: (first: number, count: number) => Promise<Float32Array>;
  readonly #width: number;
  /** Of the last call, for the next: made anew for each, such arrays would pile up until memory is collected. */
  #rows = new Float32Array();

  constructor(ids: string, read: (first: number, count: number) => Promise<Float32Array>, width: number) {
    this.#ids = ids;
    this.#read = read;
    this.#width = width;
  }

  /** The table's rows at the ids [rows] that `feeds` has: [rows, width]. */
  source(feeds: Readonly<Record<string, HostTensor>>): RowSource {
    const feed = feeds[this.#ids];
    if (feed?.type !== 'int64') throw new TypeError(`${this.#ids} must be int64`);
    const ids = feed.data;
    return { length: ids.length, rows: (from, to) => this.#rowsAt(ids.subarray(from, to)) };
  }

  /** Reads neighbours in the table together, and every row once. */
  async #rowsAt(ids: BigInt64Array): Promise<Float32Array> {
    const width = this.#width;
    if (this.#rows.length < ids.length * width) this.#rows = new Float32Array(ids.length * width);
    const result = this.#rows.subarray(0, ids.length * width);
    const order = Array.from(ids, (id, place) => ({ id: Number(id), place })).sort((a, b) => a.id - b.id);
    for (let i = 0; i < order.length; ) {
      const first = order[i]?.id ?? 0;
      let end = i;
      let last = first;
      while (end < order.length) {
        const id = order[end]?.id ?? 0;
        if (id > last + 1 || id - first >= LONGEST_STRETCH) break;
        last = id;
        end++;
      }
      const stretch = await this.#read(first, last - first + 1);
      for (; i < end; i++) {
        const { id, place } = order[i] ?? { id: first, place: 0 };
        result.set(stretch.subarray((id - first) * width, (id - first + 1) * width), place * width);
      }
    }
    return result;
  }
}

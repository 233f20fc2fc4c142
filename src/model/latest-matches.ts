/**
 * What followed when the last n tokens stood in the text the time before. As attention it is a head whose one key is found by its content:
 * the n-gram heads of Akyurek et al. ("In-Context Language Learning: Architectures and Algorithms", section 5), and the match model of
 * PAQ (Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", section 2).
 */
import { ArgumentError } from '../errors.ts';

/** No earlier place. */
export const NO_MATCH = -1;

/**
 * A text that grows, and for each of some n the latest place of every n tokens in it. Time is constant for each token and n, memory some
 * 8 bytes for each token and 8 to 16 for each token and n.
 */
export class LatestMatches {
  readonly sizes: readonly number[];
  #length = 0;
  #tokens = new Int32Array(64);
  /** Hashes of the text up to each token; see #hash(). */
  #prefixes = new Int32Array(64);
  readonly #places: readonly Places[];

  /** @throws ArgumentError for sizes that are not ascending positive integers. */
  constructor(sizes: readonly number[]) {
    checkMatchSizes(sizes);
    this.sizes = sizes;
    this.#places = sizes.map((size) => ({ size, power: powerOf(size), count: 0, slots: new Int32Array(128).fill(-1) }));
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Goes on with the tokens of `ids` [N]. For each of them and each size n in turn [N, sizes]: the token that followed the latest earlier
   * place of the n tokens that end there, or NO_MATCH.
   */
  append(ids: ArrayLike<number>): Int32Array {
    const found = new Int32Array(ids.length * this.sizes.length);
    this.#reserve(this.#length + ids.length);
    let to = 0;
    for (let i = 0; i < ids.length; i++) {
      const at = this.#length++;
      const token = ids[i] as number;
      this.#tokens[at] = token;
      this.#prefixes[at] = (Math.imul(this.#prefixes[at - 1] ?? 0, BASE) + token + 1) | 0;
      for (const places of this.#places) {
        const before = this.#exchange(places, at);
        found[to++] = before < 0 ? NO_MATCH : (this.#tokens[before + 1] as number);
      }
    }
    return found;
  }

  /** Forgets all but the first `length` tokens, in the time that reading them took. */
  truncate(length: number): void {
    if (length >= this.#length) return;
    const kept = this.#tokens.slice(0, length);
    this.#length = 0;
    for (const places of this.#places) {
      places.count = 0;
      places.slots.fill(-1);
    }
    this.append(kept);
  }

  /** Puts `at` where the latest place of the n tokens that end there was, and returns that place, or -1. */
  #exchange(places: Places, at: number): number {
    const { size } = places;
    if (at + 1 < size) return -1;
    if (2 * (places.count + 1) > places.slots.length) this.#grow(places);
    const slot = this.#slotOf(places, at);
    const before = places.slots[slot] as number;
    places.slots[slot] = at;
    if (before < 0) places.count++;
    return before;
  }

  /** Of the n tokens that end at `at`: where they are, or the empty slot for them. */
  #slotOf({ slots, size, power }: Places, at: number): number {
    const last = slots.length - 1;
    for (let slot = this.#hash(at, size, power) & last; ; slot = (slot + 1) & last) {
      const place = slots[slot] as number;
      if (place < 0 || this.#areAlike(place, at, size)) return slot;
    }
  }

  #areAlike(a: number, b: number, size: number): boolean {
    const tokens = this.#tokens;
    for (let i = 0; i < size; i++) if (tokens[a - i] !== tokens[b - i]) return false;
    return true;
  }

  /** Of n tokens: the difference of two prefixes (Karp and Rabin, "Efficient randomized pattern-matching algorithms"), with its bits mixed. */
  #hash(at: number, size: number, power: number): number {
    const mixed = (this.#prefixes[at] as number) - Math.imul(this.#prefixes[at - size] ?? 0, power);
    const once = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
    return (once ^ (once >>> 15)) >>> 0;
  }

  #grow(places: Places): void {
    const old = places.slots;
    places.slots = new Int32Array(2 * old.length).fill(-1);
    for (const at of old) if (at >= 0) places.slots[this.#slotOf(places, at)] = at;
  }

  #reserve(length: number): void {
    if (length <= this.#tokens.length) return;
    const room = Math.max(length, 2 * this.#tokens.length);
    const larger = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const array = new Int32Array(room);
      array.set(old);
      return array;
    };
    this.#tokens = larger(this.#tokens);
    this.#prefixes = larger(this.#prefixes);
  }
}

/** The latest places of n tokens, by the last of them, in a table with open addressing that is at most half full. */
interface Places {
  readonly size: number;
  /** BASE to the power of n. */
  readonly power: number;
  count: number;
  slots: Int32Array<ArrayBuffer>;
}

const BASE = 0x2c1b3c6d;

function powerOf(size: number): number {
  let power = 1;
  for (let i = 0; i < size; i++) power = Math.imul(power, BASE);
  return power;
}

/** @throws ArgumentError for sizes that are not ascending positive integers. */
export function checkMatchSizes(sizes: readonly number[]): void {
  const isFine = sizes.every((size, i) => Number.isSafeInteger(size) && size > (sizes[i - 1] ?? 0));
  if (!isFine) throw new ArgumentError(`matches are [${sizes.join(', ')}]; they must be ascending integers from 1`);
}

/**
 * Rows of a table [sizes * vocabulary, width] that has a row for each size and token: for each token of each sequence those of its matches
 * within its sequence, or -1 [R, sizes]. `starts` [S] are the first tokens of the sequences.
 */
export function matchRows(
  ids: Int32Array,
  starts: Int32Array,
  sizes: readonly number[],
  vocabularySize: number,
): Int32Array {
  const rows = new Int32Array(ids.length * sizes.length);
  for (let i = 0; i < starts.length; i++) {
    const start = starts[i] as number;
    const found = new LatestMatches(sizes).append(ids.subarray(start, starts[i + 1] ?? ids.length));
    rows.set(tableRows(found, sizes.length, vocabularySize), start * sizes.length);
  }
  return rows;
}

/** Adds to each row of `sums` [N, width] the rows of a table [.., width] that `rows` [N, n] names, -1 for none. */
export function addTableRows(table: Float32Array, rows: Int32Array, sums: Float32Array, width: number): void {
  const each = (rows.length * width) / sums.length;
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at] as number;
    if (row < 0) continue;
    const [from, to] = [row * width, Math.floor(at / each) * width];
    for (let i = 0; i < width; i++) sums[to + i] += table[from + i] as number;
  }
}

/** Tokens that followed [N, sizes] to rows of the table, in place. */
export function tableRows(found: Int32Array, sizes: number, vocabularySize: number): Int32Array {
  for (let i = 0; i < found.length; i++) {
    const token = found[i] as number;
    if (token !== NO_MATCH) found[i] = (i % sizes) * vocabularySize + token;
  }
  return found;
}

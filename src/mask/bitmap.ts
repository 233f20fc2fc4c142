import { MemoryError } from '../errors.ts';
import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from './block-mask.ts';

/** What `BitmapStore.add` returns for a bitmap without a bit. */
export const EMPTY_BLOCK = -2;

/** The bits low..high (inclusive) of a word; none where low > high. */
export function bits(low: number, high: number): number {
  const first = Math.max(low, 0);
  const last = Math.min(high, 31);
  return first > last ? 0 : (0xffffffff >>> (31 - last)) & (0xffffffff << first);
}

/** Sets row `row` to the columns low..high (inclusive), cut to the block. */
export function setRow(bitmap: Uint32Array, row: number, low: number, high: number): void {
  bitmap[row * 2] = bits(low, high);
  bitmap[row * 2 + 1] = bits(low - 32, high - 32);
}

/** Clears all pairs outside the first `rows` rows and `columns` columns. */
export function clip(bitmap: Uint32Array, rows: number, columns: number): void {
  bitmap.fill(0, rows * 2);
  if (columns >= BLOCK_SIDE) return;
  const low = bits(0, columns - 1);
  const high = bits(0, columns - 33);
  for (let row = 0; row < rows; row++) {
    bitmap[row * 2] = (bitmap[row * 2] ?? 0) & low;
    bitmap[row * 2 + 1] = (bitmap[row * 2 + 1] ?? 0) & high;
  }
}

/** Number of set bits of a 32-bit word. */
export function popcount(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return (((x + (x >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

/** Number of pairs in the bitmap whose words begin at `start`. */
export function countBitmap(words: Uint32Array, start = 0): number {
  let pairs = 0;
  for (let i = start; i < start + BITMAP_WORDS; i++) pairs += popcount(words[i] ?? 0);
  return pairs;
}

/** Bitmaps, each distinct one stored once. Growth doubles, up to `limit` bitmaps. */
export class BitmapStore {
  #words = new Uint32Array(8 * BITMAP_WORDS);
  #count = 0;
  readonly #byHash = new Map<number, number[]>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The index of `bitmap`, or FULL_BLOCK, or EMPTY_BLOCK. Copies it where it is new. Throws MemoryError at the limit. */
  add(bitmap: Uint32Array): number {
    let hash = 0x811c9dc5;
    let any = 0;
    let all = 0xffffffff;
    for (let i = 0; i < BITMAP_WORDS; i++) {
      const word = bitmap[i] ?? 0;
      any |= word;
      all &= word;
      hash = Math.imul(hash ^ word, 0x01000193);
      hash ^= hash >>> 15;
    }
    if (any === 0) return EMPTY_BLOCK;
    if (all === -1) return FULL_BLOCK;
    const same = this.#byHash.get(hash);
    const found = same?.find((index) => this.#equals(index, bitmap));
    if (found !== undefined) return found;
    const index = this.#append(bitmap);
    if (same === undefined) this.#byHash.set(hash, [index]);
    else same.push(index);
    return index;
  }

  /** How many distinct bitmaps there are. */
  get count(): number {
    return this.#count;
  }

  /** The distinct bitmaps, in the order of their indices. */
  words(): Uint32Array {
    return this.#words.slice(0, this.#count * BITMAP_WORDS);
  }

  #equals(index: number, bitmap: Uint32Array): boolean {
    const start = index * BITMAP_WORDS;
    for (let i = 0; i < BITMAP_WORDS; i++) {
      if (this.#words[start + i] !== bitmap[i]) return false;
    }
    return true;
  }

  #append(bitmap: Uint32Array): number {
    const index = this.#count++;
    if (this.#count > this.#limit) {
      const bytes = this.#count * BITMAP_WORDS * 4;
      throw new MemoryError(
        `compileMask: the pattern needs more than ${this.#limit} distinct block bitmaps (${Math.round(bytes / 2 ** 20)} MiB); use a more regular pattern or fewer tokens`,
        bytes,
        this.#limit * BITMAP_WORDS * 4,
      );
    }
    if (this.#words.length < this.#count * BITMAP_WORDS) {
      const grown = new Uint32Array(this.#words.length * 2);
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#words.set(bitmap, index * BITMAP_WORDS);
    return index;
  }
}

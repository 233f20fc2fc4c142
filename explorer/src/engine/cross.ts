import {
  BITMAP_WORDS,
  BLOCK_SIDE,
  type BlockMask,
  FULL_BLOCK,
  findBlock,
  rowsOfHead,
} from '../../../src/mask/index.ts';

/** Tokens of one row or column: how many, and the first few of them as runs [start, end). */
export interface Line {
  readonly count: number;
  readonly runs: readonly (readonly [number, number])[];
  readonly runCount: number;
}

/** What one query reads and who reads one key. */
export interface Cross {
  readonly query: number;
  readonly key: number;
  readonly isAllowed: boolean;
  readonly reads: Line;
  readonly readers: Line;
}

/**
 * Row `query` and column `key` of one head, with at most `mostRuns` runs of each. Time proportional to the row's pairs and to
 * the rows of the mask.
 */
export function crossAt(mask: BlockMask, head: number, query: number, key: number, mostRuns = 6): Cross {
  const rows = rowsOfHead(mask, head);
  const reads = new RunCounter(mostRuns);
  const i = Math.floor(query / BLOCK_SIDE);
  for (let e = rows.rowStart[i]; e < rows.rowStart[i + 1]; e++) {
    const first = rows.column[e] * BLOCK_SIDE;
    if (rows.bitmap[e] === FULL_BLOCK) reads.add(first, first + BLOCK_SIDE);
    else
      for (let k = 0; k < BLOCK_SIDE; k++)
        if (isSet(mask, rows.bitmap[e], query % BLOCK_SIDE, k)) reads.add(first + k, first + k + 1);
  }
  const readers = new RunCounter(mostRuns);
  const j = Math.floor(key / BLOCK_SIDE);
  let isAllowed = false;
  for (let i = 0; i + 1 < rows.rowStart.length; i++) {
    const e = findBlock(rows, i, j);
    if (e >= rows.rowStart[i + 1] || rows.column[e] !== j) continue;
    const first = i * BLOCK_SIDE;
    if (rows.bitmap[e] === FULL_BLOCK) {
      readers.add(first, first + BLOCK_SIDE);
      if (i === Math.floor(query / BLOCK_SIDE)) isAllowed = true;
      continue;
    }
    for (let q = 0; q < BLOCK_SIDE; q++) {
      if (!isSet(mask, rows.bitmap[e], q, key % BLOCK_SIDE)) continue;
      readers.add(first + q, first + q + 1);
      if (first + q === query) isAllowed = true;
    }
  }
  return { query, key, isAllowed, reads: reads.line(), readers: readers.line() };
}

function isSet({ bitmaps }: BlockMask, bitmap: number, q: number, k: number): boolean {
  return ((bitmaps[bitmap * BITMAP_WORDS + q * 2 + (k >>> 5)] >>> (k & 31)) & 1) === 1;
}

/** Joins ascending ranges that touch. */
class RunCounter {
  readonly #mostRuns: number;
  #count = 0;
  #runCount = 0;
  #last = -1;
  readonly #runs: [number, number][] = [];

  constructor(mostRuns: number) {
    this.#mostRuns = mostRuns;
  }

  add(start: number, end: number): void {
    this.#count += end - start;
    if (start !== this.#last) {
      this.#runCount++;
      if (this.#runs.length < this.#mostRuns) this.#runs.push([start, end]);
    } else if (this.#runCount <= this.#mostRuns) {
      const run = this.#runs.at(-1);
      if (run !== undefined) run[1] = end;
    }
    this.#last = end;
  }

  line(): Line {
    return { count: this.#count, runs: this.#runs, runCount: this.#runCount };
  }
}

import { BLOCK_SIDE, type BlockLook, FULL_LOOK, readerOfHead } from '../../../src/mask/index.ts';
import type { Blocks } from './block-limit.ts';

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
export function crossAt(blocks: Blocks, head: number, query: number, key: number, mostRuns = 6): Cross {
  const reader = readerOfHead(blocks, head);
  const [row, column] = [Math.floor(query / BLOCK_SIDE), Math.floor(key / BLOCK_SIDE)];
  const reads = new RunCounter(mostRuns);
  reader.row(row, 0, Math.ceil(blocks.keys / BLOCK_SIDE), (start, end, look) => {
    if (look === FULL_LOOK) reads.add(start * BLOCK_SIDE, end * BLOCK_SIDE);
    else
      for (let k = start * BLOCK_SIDE; k < end * BLOCK_SIDE; k++)
        if (isSet(look, query % BLOCK_SIDE, k % BLOCK_SIDE)) reads.add(k, k + 1);
  });
  const readers = new RunCounter(mostRuns);
  let isAllowed = false;
  for (let i = 0; i * BLOCK_SIDE < blocks.queries; i++) {
    reader.row(i, column, column + 1, (_start, _end, look) => {
      const first = i * BLOCK_SIDE;
      if (look === FULL_LOOK) readers.add(first, first + BLOCK_SIDE);
      else
        for (let q = 0; q < BLOCK_SIDE; q++)
          if (isSet(look, q, key % BLOCK_SIDE)) readers.add(first + q, first + q + 1);
      if (i === row) isAllowed = isSet(look, query % BLOCK_SIDE, key % BLOCK_SIDE);
    });
  }
  return { query, key, isAllowed, reads: reads.line(), readers: readers.line() };
}

function isSet({ words, start }: BlockLook, q: number, k: number): boolean {
  return ((words[start + q * 2 + (k >>> 5)] >>> (k & 31)) & 1) === 1;
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

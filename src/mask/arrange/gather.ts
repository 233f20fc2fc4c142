import type { Pattern } from '../../pattern/pattern.ts';
import type { BitmapStore } from '../bitmap.ts';
import { BLOCK_SIDE, type BlockMask, type BlockRows } from '../block-mask.ts';
import { compileRows } from '../compile.ts';
import { KeptBlocks } from '../kept-blocks.ts';
import type { TokenClasses } from './classes.ts';
import type { OrderedRows } from './passes.ts';
import type { ClassPattern } from './restrict.ts';

/** Which queries and keys of a mask are in one class: the indices [first, first + queries) and [0, keys). */
interface Members {
  readonly c: number;
  readonly first: number;
  readonly queries: number;
  readonly keys: number;
}

/**
 * The blocks of a pattern whose pairs are within classes, with the tokens of a class beside each other. Every class begins with a
 * block of its own; of classes of at most half a block as many as fit share one. Classes that look alike are compiled once. Time
 * and memory proportional to tokens and kept blocks.
 */
export function gatherClasses(
  { queries, keys, queryOffset }: Pick<BlockMask, 'queries' | 'keys' | 'queryOffset'>,
  classes: TokenClasses,
  patternOf: ClassPattern,
  store: BitmapStore,
): OrderedRows {
  const members: Members[] = [];
  let most = 0;
  for (let c = 0; c < classes.count; c++) {
    const first = classes.indexFrom(c, queryOffset);
    const own = classes.indexFrom(c, queryOffset + queries) - first;
    const ownKeys = Math.max(0, classes.indexFrom(c, keys));
    if (own === 0 || ownKeys === 0) continue;
    members.push({ c, first, queries: own, keys: ownKeys });
    most = Math.max(most, own, ownKeys);
  }
  const slot = most <= BLOCK_SIDE / 2 ? 2 ** Math.ceil(Math.log2(Math.max(1, most))) : BLOCK_SIDE;
  const together = BLOCK_SIDE / slot;
  const shapes = new Shapes(patternOf, store);
  const kept = new KeptBlocks();
  const rowStart = [0];
  const queryOrder: number[] = [];
  const keyOrder: number[] = [];
  for (let m = 0; m < members.length; m += together) {
    const group = members.slice(m, m + together);
    const rows = together === 1 ? shapes.ofClass(group[0]) : shapes.ofGroup(group, slot);
    const firstColumn = keyOrder.length / BLOCK_SIDE;
    for (let i = 0; i + 1 < rows.rowStart.length; i++) {
      for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
        kept.push(firstColumn + (rows.column[e] ?? 0), rows.bitmap[e] ?? 0);
      }
      rowStart.push(kept.count);
    }
    for (const { c, first, queries: own, keys: ownKeys } of group) {
      pushPositions(queryOrder, classes, c, first, own, -queryOffset, slot);
      pushPositions(keyOrder, classes, c, 0, ownKeys, 0, slot);
    }
    for (const order of [queryOrder, keyOrder]) fill(order, BLOCK_SIDE);
  }
  return {
    rowStart: Uint32Array.from(rowStart),
    ...kept.arrays(),
    queryOrder: Int32Array.from(queryOrder),
    keyOrder: Int32Array.from(keyOrder),
  };
}

function pushPositions(
  order: number[],
  classes: TokenClasses,
  c: number,
  first: number,
  count: number,
  offset: number,
  slot: number,
): void {
  const { step } = classes;
  const start = classes.position(c, first) + offset;
  for (let i = 0; i < count; i++) {
    order.push(step === undefined ? classes.position(c, first + i) + offset : start + step * i);
  }
  fill(order, slot);
}

/** Goes on to the next whole slot with places that hold no token. */
function fill(order: number[], slot: number): void {
  while (order.length % slot !== 0) order.push(-1);
}

/** Compiled blocks of classes, by what there is to compile. */
class Shapes {
  readonly #patternOf: ClassPattern;
  readonly #store: BitmapStore;
  readonly #ids = new Map<string, number>();
  readonly #rows = new Map<string, BlockRows>();

  constructor(patternOf: ClassPattern, store: BitmapStore) {
    this.#patternOf = patternOf;
    this.#store = store;
  }

  ofClass(members: Members): BlockRows {
    const { c, first, queries, keys } = members;
    return this.#known(`${this.#id(members)}`, () =>
      compileRows(this.#patternOf(c), queries, keys, first, this.#store),
    );
  }

  /** Of small classes that share a block, each in a slot of its own. */
  ofGroup(group: readonly Members[], slot: number): BlockRows {
    return this.#known(group.map((members) => this.#id(members)).join(), () => {
      const parts = group.map(
        ({ c, first, queries, keys }, i): Pattern => ({
          kind: 'intersect',
          of: [
            { kind: 'rows', start: i * slot, count: queries },
            { kind: 'columns', start: i * slot, count: keys },
            { kind: 'shift', queries: i * slot - first, keys: i * slot, of: this.#patternOf(c) },
          ],
        }),
      );
      return compileRows({ kind: 'union', of: parts }, BLOCK_SIDE, BLOCK_SIDE, 0, this.#store);
    });
  }

  #known(key: string, compile: () => BlockRows): BlockRows {
    let rows = this.#rows.get(key);
    if (rows === undefined) {
      rows = compile();
      this.#rows.set(key, rows);
    }
    return rows;
  }

  #id({ c, first, queries, keys }: Members): number {
    const text = JSON.stringify([first, queries, keys, this.#patternOf(c)]);
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(text, id);
    }
    return id;
  }
}

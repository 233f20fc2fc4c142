import { BitmapStore } from '../bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockRows, FULL_BLOCK } from '../block-mask.ts';
import { MAX_BITMAPS } from '../kept-blocks.ts';

/**
 * Blocks of queries and keys in orders of their own: row r of the blocks is the query row `queryOrder[r]` of the mask, column c its
 * key `keyOrder[c]`; -1 stands for none, which no pair has. A token has one place. Both have whole blocks, and `queryOrder` all
 * those of `rowStart`. Without an order, each stands for itself.
 */
export interface OrderedRows extends BlockRows {
  readonly queryOrder?: Int32Array;
  readonly keyOrder?: Int32Array;
}

/** Some of the pairs of a mask. The fields are those of BlockMask, in the orders of `rows`. */
export interface Pass {
  /** Rows and columns of the head that has most: all `rows` have ceil(queries / T) rows of blocks. */
  readonly queries: number;
  readonly keys: number;
  readonly headRows: Uint32Array;
  readonly rows: readonly OrderedRows[];
  readonly bitmaps: Uint32Array;
}

/** One head's blocks in one pass, with bitmaps of their own. */
export interface HeadPass {
  readonly rows: OrderedRows;
  readonly bitmaps: Uint32Array;
}

/** Puts the passes of the distinct heads beside each other. Heads with fewer passes have empty ones in the end. */
export function joinHeads(
  heads: readonly (readonly HeadPass[])[],
  headRows: Uint32Array,
  queries: number,
  keys: number,
): Pass[] {
  const count = Math.max(...heads.map((passes) => passes.length));
  return Array.from({ length: count }, (_, p) => {
    const own = heads.map((passes) => passes[p]);
    const most = (natural: number, order: 'queryOrder' | 'keyOrder'): number =>
      Math.max(natural, ...own.map((pass) => pass?.rows[order]?.length ?? 0));
    const [passQueries, passKeys] = [most(queries, 'queryOrder'), most(keys, 'keyOrder')];
    const store = new BitmapStore(MAX_BITMAPS);
    const rowCount = Math.ceil(passQueries / BLOCK_SIDE);
    const rows = own.map((pass) => paddedRows(pass, rowCount, store));
    return { queries: passQueries, keys: passKeys, headRows, rows, bitmaps: store.words() };
  });
}

function paddedRows(pass: HeadPass | undefined, rowCount: number, store: BitmapStore): OrderedRows {
  if (pass === undefined) {
    return { rowStart: new Uint32Array(rowCount + 1), column: new Uint32Array(), bitmap: new Int32Array() };
  }
  const { rows, bitmaps } = pass;
  const index: number[] = [];
  for (let b = 0; b < bitmaps.length; b += BITMAP_WORDS) index.push(store.add(bitmaps.subarray(b, b + BITMAP_WORDS)));
  const rowStart = new Uint32Array(rowCount + 1).fill(rows.column.length);
  rowStart.set(rows.rowStart);
  const queryOrder = rows.queryOrder && new Int32Array(rowCount * BLOCK_SIDE).fill(-1);
  queryOrder?.set(rows.queryOrder ?? []);
  return {
    ...rows,
    rowStart,
    ...(queryOrder ? { queryOrder } : {}),
    bitmap: rows.bitmap.map((own) => (own === FULL_BLOCK ? own : (index[own] ?? own))),
  };
}

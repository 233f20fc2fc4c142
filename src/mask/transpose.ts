import { BLOCK_SIDE, type BlockMask } from './block-mask.ts';
import { maskOfBatchEntry } from './read.ts';

/**
 * The blocks of one head pattern by key block: key block j is kept for the query blocks
 * `row[columnStart[j] .. columnStart[j + 1])`, ascending. `bitmap` is as in BlockRows, with queries still as the rows of
 * each bitmap; `entry` is the block's place in BlockRows.
 */
export interface BlockColumns {
  readonly columnStart: Uint32Array;
  readonly row: Uint32Array;
  readonly bitmap: Int32Array;
  readonly entry: Uint32Array;
}

/**
 * The blocks of a mask by key block, one for each of `mask.rows`: what the gradients of keys and values walk. A counting
 * sort, in time and memory proportional to the kept blocks. Throws ArgumentError for a refined mask: give one of its entries.
 */
export function transpose(mask: BlockMask): BlockColumns[] {
  const keyBlocks = Math.ceil(mask.keys / BLOCK_SIDE);
  return maskOfBatchEntry(mask).rows.map(({ rowStart, column, bitmap }) => {
    const columnStart = new Uint32Array(keyBlocks + 1);
    for (const j of column) columnStart[j + 1] = (columnStart[j + 1] ?? 0) + 1;
    for (let j = 0; j < keyBlocks; j++) columnStart[j + 1] = (columnStart[j + 1] ?? 0) + (columnStart[j] ?? 0);
    const next = columnStart.slice();
    const row = new Uint32Array(column.length);
    const transposed = new Int32Array(column.length);
    const entry = new Uint32Array(column.length);
    for (let i = 0; i + 1 < rowStart.length; i++) {
      for (let e = rowStart[i] ?? 0; e < (rowStart[i + 1] ?? 0); e++) {
        const j = column[e] ?? 0;
        const place = next[j] ?? 0;
        next[j] = place + 1;
        row[place] = i;
        transposed[place] = bitmap[e] ?? 0;
        entry[place] = e;
      }
    }
    return { columnStart, row, bitmap: transposed, entry };
  });
}

import { MemoryError } from '../errors.ts';
import { BLOCK_SIDE } from './block-mask.ts';

/** Most kept blocks per distinct head pattern (8 bytes each) and most distinct bitmaps (512 bytes each): 2 GiB apiece. */
const MAX_BLOCKS = 2 ** 28;
export const MAX_BITMAPS = 2 ** 22;

/** Columns and bitmap indices of the kept blocks, in arrays that double as they fill. */
export class KeptBlocks {
  count = 0;
  #column = new Uint32Array(64);
  #bitmap = new Int32Array(64);

  push(column: number, bitmap: number): void {
    if (this.count === this.#column.length) this.#grow();
    this.#column[this.count] = column;
    this.#bitmap[this.count] = bitmap;
    this.count++;
  }

  arrays(): { column: Uint32Array; bitmap: Int32Array } {
    return { column: this.#column.slice(0, this.count), bitmap: this.#bitmap.slice(0, this.count) };
  }

  #grow(): void {
    if (this.count >= MAX_BLOCKS) {
      throw new MemoryError(
        `compileMask: the pattern keeps more than ${MAX_BLOCKS} blocks of ${BLOCK_SIDE} x ${BLOCK_SIDE} pairs; use a sparser pattern or fewer tokens`,
        this.count * 16,
        MAX_BLOCKS * 8,
      );
    }
    const column = new Uint32Array(this.count * 2);
    const bitmap = new Int32Array(this.count * 2);
    column.set(this.#column);
    bitmap.set(this.#bitmap);
    this.#column = column;
    this.#bitmap = bitmap;
  }
}

import { arrangeMask, BLOCK_SIDE, type BlockMask, type Pass } from '../../mask/index.ts';
import type { Problem } from '../problem.ts';
import type { Heap } from './heap.ts';
import type { Job, PlacedMask } from './job.ts';
import { type MaskBlocks, placeMask } from './mask-upload.ts';

/** One of the jobs that a mask is computed in, one after the other. */
export interface PlacedPass {
  readonly blocks: BlockMask | Pass;
  readonly mask: PlacedMask;
  /** Absent where the one job has all pairs. */
  readonly pass?: NonNullable<Job['pass']>;
}

/** Masks in the kernels' memory, and the passes of those that are computed in an order of their own. */
export class PlacedMasks {
  readonly #heap: Heap;
  readonly #leastGain: number | undefined;
  readonly #placed = new WeakMap<MaskBlocks, PlacedMask>();
  readonly #arranged = new WeakMap<BlockMask, readonly Pass[]>();
  readonly #unused: number[] = [];
  readonly #forgotten = new FinalizationRegistry<number>((address) => this.#unused.push(address));

  constructor(heap: Heap, leastGain?: number) {
    this.#heap = heap;
    this.#leastGain = leastGain;
  }

  /** All pairs in one job, in the order they come in. */
  whole(mask: BlockMask): PlacedPass[] {
    return [{ blocks: mask, mask: this.#place(mask) }];
  }

  /** Scattered patterns in several, where that is less work. A score modifier is compiled for tiles of neighbouring
   * queries and keys, and shares what depends on their distance alone: it needs the order they come in. */
  passes({ mask, score }: Problem): PlacedPass[] {
    if (score) return this.whole(mask);
    let passes = this.#arranged.get(mask);
    if (!passes) {
      passes = arrangeMask(mask, this.#leastGain) ?? [];
      this.#arranged.set(mask, passes);
    }
    if (passes.length === 0) return this.whole(mask);
    return passes.map((blocks, i) => ({
      blocks,
      mask: this.#place(blocks),
      pass: {
        isLater: i > 0,
        queryBlocks: Math.ceil(blocks.queries / BLOCK_SIDE),
        mostKeyBlocks: mostKeyBlocks(blocks),
        ...keysOf(blocks, mask.keys),
      },
    }));
  }

  #place(mask: MaskBlocks): PlacedMask {
    for (const address of this.#unused.splice(0)) this.#heap.free(address);
    let placed = this.#placed.get(mask);
    if (!placed) {
      const { address, ...rest } = placeMask(this.#heap, mask);
      placed = rest;
      this.#placed.set(mask, placed);
      this.#forgotten.register(mask, address);
    }
    return placed;
  }
}

/** Whether the rows of each head have every key block once at most, and all keys. */
function keysOf({ rows }: Pass, keys: number): { isOneToOne: boolean; hasAllKeys: boolean } {
  let [isOneToOne, hasAllKeys] = [true, true];
  for (const { column, keyOrder } of rows) {
    const distinct = new Set(column);
    isOneToOne &&= distinct.size === column.length;
    let count = 0;
    for (const block of distinct) {
      const places = keyOrder?.subarray(block * BLOCK_SIDE, (block + 1) * BLOCK_SIDE);
      if (places) count += places.reduce((sum, key) => (key < 0 ? sum : sum + 1), 0);
      else count += Math.min(BLOCK_SIDE, keys - block * BLOCK_SIDE);
    }
    hasAllKeys &&= count === keys;
  }
  return { isOneToOne, hasAllKeys };
}

function mostKeyBlocks({ rows }: Pass): number {
  let most = 0;
  for (const { rowStart } of rows) {
    for (let i = 0; i + 1 < rowStart.length; i++) most = Math.max(most, rowStart[i + 1] - rowStart[i]);
  }
  return most;
}

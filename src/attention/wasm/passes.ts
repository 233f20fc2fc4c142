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

  /** Scattered patterns in several, where that is less work. What is done to scores or drops some needs the positions as they are. */
  passes({ mask, score, dropout }: Problem): PlacedPass[] {
    if (score || dropout) return this.whole(mask);
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

function mostKeyBlocks({ rows }: Pass): number {
  let most = 0;
  for (const { rowStart } of rows) {
    for (let i = 0; i + 1 < rowStart.length; i++) most = Math.max(most, rowStart[i + 1] - rowStart[i]);
  }
  return most;
}

import { BitmapStore, EMPTY_BLOCK } from './bitmap.ts';
import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from './block-mask.ts';
import { BLOCK_EMPTY, BLOCK_FULL, type PlanContext, UNDECIDED } from './planned.ts';

/** Most distinct bitmaps that one part remembers (512 bytes each). */
const MAX_BITMAPS = 2 ** 22;

/** Names bitmaps by what they hold, for parts that cannot tell from a block's place which others look like it. */
export class ContentIdentities {
  readonly #context: PlanContext;
  readonly #store = new BitmapStore(MAX_BITMAPS);
  readonly #ids: number[] = [];

  constructor(context: PlanContext) {
    this.#context = context;
  }

  of(bitmap: Uint32Array): number {
    const index = this.#store.add(bitmap);
    if (index === EMPTY_BLOCK) return BLOCK_EMPTY;
    if (index === FULL_BLOCK) return BLOCK_FULL;
    const known = this.#ids[index];
    if (known !== undefined) return known;
    const identity = this.#context.newIdentity();
    this.#ids[index] = identity;
    return identity;
  }
}

/** `identify` of a part, by painting each block. */
export function identifyByContent(
  paint: (q0: number, k0: number, out: Uint32Array) => void,
  context: PlanContext,
): (q0: number, k0: number, side: number) => number {
  const identities = new ContentIdentities(context);
  const scratch = new Uint32Array(BITMAP_WORDS);
  return (q0, k0, side) => {
    if (side > BLOCK_SIDE) return UNDECIDED;
    paint(q0, k0, scratch);
    return identities.of(scratch);
  };
}

import { BITMAP_WORDS, BLOCK_SIDE, type BlockRows, FULL_BLOCK } from '../block-mask.ts';

/** Queries of a panel: the unit in which the kernels compute a block, from its first visible key to its last. */
const PANEL = 16;
const PANELS = BLOCK_SIDE / PANEL;

/** What else there is to do, in pairs that could be computed meanwhile: of the size that was measured, not exact. */
const PER_BLOCK = 60;
const PER_PANEL = 40;
const PER_GATHERED_KEY = 12;
/** To turn a query into panels and back, and for a pass after the first to take up the result where it stands. */
const PER_QUERY = 25;
const PER_CONTINUED_QUERY = 30;

/** How a kernel would take to the blocks of one head. */
export interface WorkOptions {
  /** Whether the keys are gathered from an order of their own. */
  readonly isGathered: boolean;
  /** Whether the pass continues from the result of others. */
  readonly continues: boolean;
}

/** Work of a kernel on one head's blocks, in pairs. Time proportional to the kept blocks and distinct bitmaps. */
export function workOf(rows: BlockRows, bitmaps: Uint32Array, { isGathered, continues }: WorkOptions): number {
  const known = new Map<number, number>();
  let work = 0;
  for (const index of rows.bitmap) {
    let own = known.get(index);
    if (own === undefined) {
      own = PER_BLOCK + workOfBlock(bitmaps, index, isGathered ? PER_GATHERED_KEY : 0);
      known.set(index, own);
    }
    work += own;
  }
  const perQuery = PER_QUERY + (continues ? PER_CONTINUED_QUERY : 0);
  for (let i = 0; i + 1 < rows.rowStart.length; i++) {
    if (!continues || rows.rowStart[i] !== rows.rowStart[i + 1]) work += perQuery * BLOCK_SIDE;
  }
  return work;
}

function workOfBlock(bitmaps: Uint32Array, index: number, perKey: number): number {
  if (index === FULL_BLOCK) return BLOCK_SIDE * (BLOCK_SIDE + perKey) + PANELS * PER_PANEL;
  let work = 0;
  let [first, end] = [BLOCK_SIDE, 0];
  for (let panel = 0; panel < PANELS; panel++) {
    let [low, high] = [0, 0];
    const start = index * BITMAP_WORDS + panel * PANEL * 2;
    for (let word = start; word < start + PANEL * 2; word += 2) {
      low |= bitmaps[word] ?? 0;
      high |= bitmaps[word + 1] ?? 0;
    }
    if (low === 0 && high === 0) continue;
    const from = low !== 0 ? trailingZeros(low) : 32 + trailingZeros(high);
    const to = high !== 0 ? BLOCK_SIDE - Math.clz32(high) : 32 - Math.clz32(low);
    work += (to - from) * PANEL + PER_PANEL;
    first = Math.min(first, from);
    end = Math.max(end, to);
  }
  return work + Math.max(0, end - first) * perKey;
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}

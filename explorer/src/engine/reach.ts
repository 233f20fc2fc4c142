import { BLOCK_SIDE, FULL_LOOK, readerOfHead, receptiveField } from '../../../src/mask/index.ts';
import type { Pattern } from '../../../src/pattern/index.ts';
import { type Blocks, blocksOf } from './block-limit.ts';
import { TokenSet } from './token-set.ts';

/** Bins of the token line that a picture of a receptive field has at most. */
export const REACH_BINS = 512;

/** The tokens that one position depends on after some layers. */
export interface Reach {
  readonly count: number;
  /** Share of the tokens of each bin, 0 to 1; bins are equally long but the last. */
  readonly bins: Float32Array;
  readonly binLength: number;
}

export interface ReachOptions {
  readonly length: number;
  readonly heads: number;
  readonly query: number;
  readonly layers: number;
}

/** As receptiveField(), in bins that fit a screen; also of patterns whose blocks are too many to hold. */
export function reachOf(patterns: readonly Pattern[], options: ReachOptions): Reach {
  const { length } = options;
  const { count, ranges } = fieldOf(patterns, options);
  const binLength = Math.ceil(length / REACH_BINS);
  const bins = new Float32Array(Math.ceil(length / binLength));
  for (const { start, end } of ranges) {
    for (let at = start; at < end; ) {
      const bin = Math.floor(at / binLength);
      const next = Math.min(end, (bin + 1) * binLength);
      bins[bin] += (next - at) / Math.min(binLength, length - bin * binLength);
      at = next;
    }
  }
  return { count, bins, binLength };
}

type Field = Pick<ReturnType<typeof receptiveField>, 'count' | 'ranges'>;

/** The tokens that a position depends on. Throws what receptiveField throws, but for memory. */
export function fieldOf(patterns: readonly Pattern[], options: ReachOptions): Field {
  const { length, heads } = options;
  // Compiled twice where all fit; a field costs more than that.
  const blocks = patterns.map((pattern) => blocksOf(pattern, length, heads));
  if (blocks.some((own) => 'store' in own)) return fieldByRows(blocks, options);
  const [first] = patterns;
  return receptiveField(patterns.length === 1 && first !== undefined ? first : patterns, options);
}

/** From the last layer down, as receptiveField() goes, but reading rows of blocks when they are come to. */
export function fieldByRows(blocks: readonly Blocks[], { length, query, layers }: ReachOptions): Field {
  const field = new TokenSet(length);
  field.add(query, query + 1);
  let fresh = field.ranges();
  let unchanged = 0;
  for (let layer = layers - 1; layer >= 0 && unchanged < blocks.length && field.count < length; layer--) {
    const before = field.ranges();
    // One pattern for all layers: what was there before has already handed on all that it reads.
    addRead(blocks[layer % blocks.length], blocks.length === 1 ? fresh : before, field);
    fresh = field.ranges(before);
    unchanged = fresh.length === 0 ? unchanged + 1 : 0;
  }
  return { count: field.count, ranges: field.ranges() };
}

/** Adds what `tokens`, ascending ranges, read in any head. */
function addRead(blocks: Blocks, tokens: Field['ranges'], field: TokenSet): void {
  const keyBlocks = Math.ceil(blocks.keys / BLOCK_SIDE);
  const readers = [...new Set(blocks.headRows)].map((row) => readerOfHead(blocks, blocks.headRows.indexOf(row)));
  const rowsOf = new Map<number, [number, number][]>();
  for (const { start, end } of tokens) {
    for (let q = start; q < end; ) {
      const i = Math.floor(q / BLOCK_SIDE);
      const next = Math.min(end, (i + 1) * BLOCK_SIDE);
      const rows = rowsOf.get(i);
      if (rows === undefined) rowsOf.set(i, [[q % BLOCK_SIDE, next - i * BLOCK_SIDE]]);
      else rows.push([q % BLOCK_SIDE, next - i * BLOCK_SIDE]);
      q = next;
    }
  }
  for (const [i, rows] of rowsOf) {
    for (const reader of readers) {
      const from = Math.floor(field.firstAbsent(0) / BLOCK_SIDE);
      reader.row(i, from, keyBlocks, (start, end, { words, start: at, ...look }) => {
        const [first, last] = [start * BLOCK_SIDE, end * BLOCK_SIDE];
        if (field.firstAbsent(first) >= last) return;
        if (look.pairs === FULL_LOOK.pairs) {
          field.add(first, last);
          return;
        }
        let [low, high] = [0, 0];
        for (const [top, bottom] of rows) {
          for (let row = top; row < bottom; row++) {
            low |= words[at + row * 2];
            high |= words[at + row * 2 + 1];
          }
        }
        for (let k = first; k < last; k++) {
          const bit = k % BLOCK_SIDE;
          if (((bit < 32 ? low : high) >>> (bit & 31)) & 1) field.add(k, k + 1);
        }
      });
    }
  }
}

/** Summaries of blocks that stand in the first row of each block, as the kernels compute them. */
import { type Expression, expression as e, type ScoreParameter } from '../../attention/index.ts';
import { type HostTensor, mul, ROWS, type Value } from '../../graph/index.ts';
import { blocks, dense, globalTokens, type Pattern } from '../../pattern/index.ts';
import type { PackedBatch } from '../encoder/architecture.ts';
import { type AttentionOptions, type EncoderBuilder, type Scores, widthOf } from '../encoder/builder.ts';
import { cutToSequences, forEachSequence, type Layout, type PackedSequence, rowsOf } from '../encoder/layout.ts';
import type { LongT5Config } from './longt5.ts';

/** What transient global attention has of the blocks of a text. */
export interface BlockSummaries {
  /** The sums of x [rows, d_model] over the tokens of each block, for a layer: [summaries, d_model]. */
  readonly sums: (x: Value, name: string) => Value;
  /** The block of a summary less the block of a query. */
  readonly offset: Expression;
  /** Attention to summaries, whose scores have a bias by `offset`. */
  readonly attend: (options: AttentionOptions & { readonly scores: Scores }) => {
    readonly output: Value;
    readonly lse: Value;
  };
}

/** As many summaries as rows, of which those count that stand in the first row of a block. */
export function summariesInRows(b: EncoderBuilder, { global_block_size: block }: LongT5Config): BlockSummaries {
  const counts = b.input('block_tokens', 'float32', [ROWS, 1]);
  return {
    sums(x, name) {
      const options = {
        q: x,
        k: x,
        v: x,
        heads: slicesOf(widthOf(x)),
        pattern: dense(),
        scale: 0,
        name: `${name}.mean`,
      };
      const mean = b.attention(options, (layout) => [
        { pattern: forEachSequence(layout, (sequence) => ownBlocks(sequence, block)), weight: 1 },
      ]); // [rows, d_model], 0 but in the first row of each block
      return mul(b.graph, mean, counts);
    },
    offset: e.sub(e.lookup('blockOfKey', e.k), e.lookup('blockOfQuery', e.q)),
    attend: ({ scores, ...options }) =>
      b.attentionWithLse(
        { ...options, scores: { ...scores, rows: (layout) => rowBlocks(layout, block) } },
        (layout) => [{ pattern: toSummaries(layout, block), weight: 1 }],
      ),
  };
}

/** Heads of at most 256 numbers that x divides into: their mean is taken apart. */
function slicesOf(width: number): number {
  let slices = Math.ceil(width / 256);
  while (width % slices !== 0) slices++;
  return slices;
}

/** How many blocks of a sequence have summaries: those whose last token counts. */
function summaries({ length, masked }: PackedSequence, block: number): number {
  const ends = masked.filter((place) => place % block === block - 1).length;
  return Math.floor(length / block) - ends;
}

/** The block of each row; the tokens left over at the end belong to the last block. -1 for a masked token, and where there are no blocks. */
function blockOfRows({ rows, sequences }: Layout, block: number): Int32Array {
  const result = new Int32Array(rows);
  for (const sequence of sequences) {
    const last = summaries(sequence, block) - 1;
    for (let i = 0; i < sequence.length; i++) result[sequence.start + i] = Math.min(Math.floor(i / block), last);
    for (const place of sequence.masked) result[sequence.start + place] = -1;
  }
  return result;
}

/** The first row of each block sees the block's tokens. */
function ownBlocks(sequence: PackedSequence, block: number): Pattern {
  const last = summaries(sequence, block) - 1;
  const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);
  const table = range(0, sequence.length).map((place) => {
    const own = place / block;
    if (!Number.isInteger(own) || own > last) return [];
    return range(place, own === last ? sequence.length : place + block);
  });
  return blocks({ block: 1, table });
}

/** Every token sees the summaries of its sequence's blocks. */
function toSummaries(layout: Layout, block: number): Pattern {
  const places = (sequence: PackedSequence) => Array.from({ length: summaries(sequence, block) }, (_, i) => i * block);
  const positions = rowsOf(layout, places);
  // A block's first token may be masked, its summary is not.
  const sequences = layout.sequences.map((sequence) => ({ ...sequence, masked: [] }));
  return cutToSequences(globalTokens({ positions, direction: 'keys' }), { ...layout, sequences });
}

/** The tokens of each row's block [rows, 1], of which masked ones do not count. */
export function blockTokens({ layout }: PackedBatch, block: number): HostTensor {
  const own = blockOfRows(layout, block);
  const data = new Float32Array(layout.rows);
  for (const { start, length } of layout.sequences) {
    const counts = new Map<number, number>();
    const rows = own.subarray(start, start + length);
    for (const each of rows) counts.set(each, (counts.get(each) ?? 0) + 1);
    for (let i = 0; i < length; i += block) data[start + i] = counts.get(i / block) ?? 0;
  }
  return { type: 'float32', data, shape: [layout.rows, 1] };
}

/** The blocks of the rows as keys, and of the rows as queries. */
function rowBlocks(layout: Layout, block: number): Record<string, ScoreParameter> {
  const ofKey = new Float32Array(layout.rows);
  for (const { start, length } of layout.sequences) {
    for (let i = 0; i < length; i++) ofKey[start + i] = Math.floor(i / block);
  }
  const shape = [layout.rows];
  return {
    blockOfKey: { data: ofKey, shape },
    blockOfQuery: { data: Float32Array.from(blockOfRows(layout, block)), shape },
  };
}

/** The patterns that the arena runs, each beside a model of the Long Range Arena's table. */
import { type Pattern, parsePattern } from '../../pattern/index.ts';
import type { PublishedModel } from '../../train/index.ts';

export interface ArenaPattern {
  readonly name: string;
  /** Whose published accuracy stands beside it. */
  readonly published?: PublishedModel;
  /** For sequences of at most this many rows. Row 0 is the classification token. */
  pattern(rows: number): Pattern;
}

/** Tokens of a block, and to either side of a window. */
const BLOCK = 64;

/** The models of the table that are patterns; the others choose by content, or approximate the softmax. */
export const arenaPatterns: readonly ArenaPattern[] = [
  { name: 'dense', published: 'Transformer', pattern: () => parsePattern('dense') },
  // Blocks that see themselves alone, as the table's local attention.
  { name: 'local', published: 'Local Attention', pattern: () => parsePattern(`blockLocal(block=${2 * BLOCK},back=0)`) },
  // Child et al. 2019, "Generating Long Sequences with Sparse Transformers", section 4.3, both ways: blocks, and the last columns of each.
  {
    name: 'fixed',
    published: 'Sparse Transformer',
    pattern: () =>
      parsePattern(`blockLocal(block=${BLOCK},back=0)+columns(start=${BLOCK - 8},count=8,period=${BLOCK})`),
  },
  { name: 'window+global', published: 'Longformer', pattern: () => parsePattern(`window:${BLOCK}+global:0`) },
  {
    name: 'bigbird',
    published: 'BigBird',
    pattern: (rows) =>
      parsePattern(`bigBird(block=${BLOCK},window=3,global=1,random=3,seed=0,blocks=${Math.ceil(rows / BLOCK)})`),
  },
];

/** A pattern of one's own, which has nothing published beside it. */
export function ownPattern(text: string): ArenaPattern {
  const pattern = parsePattern(text);
  return { name: text, pattern: () => pattern };
}

/** Sequences packed one after the other into the rows of a graph, and the pairs that may attend there. */
import {
  columns,
  complement,
  documents,
  globalTokens,
  intersect,
  type Pattern,
  rows,
  shift,
  union,
} from '../../pattern/index.ts';

/** One sequence of a batch. Places count from its first token. */
export interface PackedSequence {
  /** The row of its first token. */
  readonly start: number;
  /** Rows that are computed: up to its last token that is not masked. */
  readonly length: number;
  /** Tokens that were given, with the masked ones at the end, by which some architectures lay their blocks. */
  readonly givenLength: number;
  /** Places below `length` that are masked, ascending. */
  readonly masked: readonly number[];
  /** Places of tokens with global attention, ascending; none of them masked. */
  readonly globals: readonly number[];
}

/** The rows of a batch. */
export interface Layout {
  readonly rows: number;
  readonly sequences: readonly PackedSequence[];
  /** BigBird's random key blocks, by layer, where the caller gives them. */
  readonly randomBlocks?: readonly RandomBlockTables[];
  /** Of a decoder: the encoder's rows, sequence for sequence, which cross attention sees. */
  readonly memory?: Layout;
}

/** Of one layer, by head and by query block but the first and the last: the key blocks that were drawn, in any order. */
export type RandomBlockTables = readonly (readonly (readonly number[])[])[];

/** Pairs that attend, each counted `weight` times in the softmax. */
export interface WeightedPattern {
  readonly pattern: Pattern;
  /** Above 0. */
  readonly weight: number;
}

/** What one attention node computes in a batch: the pairs over its packed rows. Patterns of one list must not share a pair and a weight. */
export type PairsOf = (layout: Layout) => readonly WeightedPattern[];

/**
 * A pattern of one sequence for all sequences of a batch: a token sees its own sequence only, and no masked token. A pattern that looks
 * the same everywhere is cut to the sequences; any other is moved to each of them.
 */
export function withinSequences(pattern: Pattern, layout: Layout): Pattern {
  return isRelative(pattern) ? cutToSequences(pattern, layout) : forEachSequence(layout, () => pattern);
}

/** Pairs of `pattern`, in positions of packed rows, of which both tokens are in one sequence and the key is not masked. */
export function cutToSequences(pattern: Pattern, layout: Layout): Pattern {
  const parts: Pattern[] = [pattern];
  if (layout.sequences.length > 1) {
    parts.push(documents({ lengths: layout.sequences.map(({ length }) => length) }));
  }
  const masked = rowsOf(layout, ({ masked }) => masked);
  if (masked.length > 0) parts.push(complement(globalTokens({ positions: masked, direction: 'keys' })));
  return intersect(...parts);
}

/** Each sequence's own pattern, in places of that sequence. Masked tokens are not seen. */
export function forEachSequence(layout: Layout, patternOf: (sequence: PackedSequence) => Pattern): Pattern {
  const [only] = layout.sequences;
  if (layout.sequences.length === 1 && only !== undefined) return cutToSequences(patternOf(only), layout);
  const moved = layout.sequences.map((sequence) => {
    const { start, length } = sequence;
    // Only the queries of the sequence, so that a part that fills whole rows does not fill those of others.
    return intersect(shift(patternOf(sequence), { queries: start, keys: start }), rows({ start, count: length }));
  });
  return cutToSequences(union(...moved), layout);
}

/** Pairs of a decoder's rows and the encoder's: a token sees the whole text of its sequence that is not masked. */
export function crossPairs({ sequences, memory }: Layout): Pattern {
  const texts = memory?.sequences ?? [];
  const pairs = sequences.map(({ start, length }, i) => {
    const text = texts[i];
    return intersect(rows({ start, count: length }), columns({ start: text?.start ?? 0, count: text?.length ?? 0 }));
  });
  const masked = memory === undefined ? [] : rowsOf(memory, ({ masked }) => masked);
  const hidden = masked.length === 0 ? [] : [complement(globalTokens({ positions: masked, direction: 'keys' }))];
  return intersect(union(...pairs), ...hidden);
}

/** The rows of places that each sequence names. */
export function rowsOf(layout: Layout, placesOf: (sequence: PackedSequence) => readonly number[]): number[] {
  return layout.sequences.flatMap((sequence) => placesOf(sequence).map((place) => sequence.start + place));
}

/** Whether a pattern depends on the distance of query and key only. */
function isRelative(pattern: Pattern): boolean {
  switch (pattern.kind) {
    case 'dense':
    case 'causal':
    case 'window':
    case 'diagonals':
      return true;
    case 'union':
    case 'intersect':
      return pattern.of.every(isRelative);
    case 'complement':
      return isRelative(pattern.of);
    case 'perHead':
      return pattern.heads.every(isRelative);
    default:
      return false;
  }
}

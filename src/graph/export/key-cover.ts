/**
 * Which keys a stretch of queries has to look at, as simple pieces whose size does not depend on the length of the text: the pattern then
 * decides each pair among them. A cover may have too many keys, never too few.
 */
import { PatternError } from '../../errors.ts';
import { formatPattern, type Pattern } from '../../pattern/index.ts';
import { type RandomBlocks, randomKeyBlocks } from '../../pattern/kinds/random.ts';
import { definitionOf, isFamily } from '../../pattern/kinds/registry.ts';

/** How far a query looks back and ahead, in tokens; Infinity for all. */
export interface Reach {
  readonly back: number;
  readonly ahead: number;
}

/** Query block i, of `block` tokens, looks at the key blocks `rows[i]`; beyond the rows, at none. */
export interface BlockTable {
  readonly block: number;
  readonly rows: readonly (readonly number[])[];
}

export interface KeyCover {
  /** Keys at a distance; undefined for none. */
  readonly reach: Reach | undefined;
  /** Keys that every query looks at, ascending. */
  readonly columns: readonly number[];
  readonly table: BlockTable | undefined;
  /** Queries that are computed apart, over all keys, ascending. */
  readonly rows: readonly number[];
}

/** Keys, or queries, at given places: more of them would be a pattern of another kind. */
const MOST_PLACES = 8192;

/** Reaches from here on have no end. */
const FAR = 2 ** 31;

const NOTHING: KeyCover = { reach: undefined, columns: [], table: undefined, rows: [] };

/**
 * The cover of a pattern without perHead. `maximumLength` bounds the texts for which random blocks are drawn.
 * Throws PatternError that names the pattern where its keys are no such pieces.
 */
export function keyCover(pattern: Pattern, maximumLength: number | undefined): KeyCover {
  switch (pattern.kind) {
    case 'dense':
    case 'complement':
      return { ...NOTHING, reach: { back: Infinity, ahead: Infinity } };
    case 'causal':
      return { ...NOTHING, reach: { back: Infinity, ahead: 0 } };
    case 'window':
    case 'diagonals':
    case 'blockLocal': {
      const reach = reachOf(pattern);
      if (pattern.kind === 'window' && (pattern.dilation ?? 1) > 1 && reach.back === Infinity)
        refuse(pattern, 'reaches back without end');
      return { ...NOTHING, reach };
    }
    case 'sinks':
      return { ...NOTHING, columns: places(pattern, 0, pattern.count) };
    case 'columns':
      if (pattern.period !== undefined) refuse(pattern, 'repeats its keys without end');
      return { ...NOTHING, columns: places(pattern, pattern.start, pattern.count) };
    case 'rows':
      if (pattern.period !== undefined) refuse(pattern, 'repeats its queries without end');
      return { ...NOTHING, rows: places(pattern, pattern.start, pattern.count) };
    case 'global': {
      const { direction = 'both' } = pattern;
      const positions = [...new Set(pattern.positions)].sort((a, b) => a - b);
      if (positions.length > MOST_PLACES) refuse(pattern, `has more than ${MOST_PLACES} positions`);
      return {
        ...NOTHING,
        columns: direction === 'queries' ? [] : positions,
        rows: direction === 'keys' ? [] : positions,
      };
    }
    case 'blocks':
      return { ...NOTHING, table: { block: pattern.block, rows: pattern.table } };
    case 'randomBlocks':
      return { ...NOTHING, table: drawnTable(pattern, maximumLength) };
    case 'union':
      return pattern.of.map((part) => keyCover(part, maximumLength)).reduce(joined, NOTHING);
    case 'intersect':
      return intersection(pattern.of, maximumLength);
    case 'perHead':
      throw new Error('keyCover: a perHead must be resolved by headPattern first');
    default:
      return expandedCover(pattern, maximumLength);
  }
}

/** The cover of a kind that is made of simpler ones; what is refused of those is refused under its own name. */
function expandedCover(pattern: Pattern, maximumLength: number | undefined): KeyCover {
  const expanded = isFamily(pattern) ? definitionOf(pattern).expand?.(pattern) : undefined;
  if (expanded === undefined) refuse(pattern, 'has no keys at fixed distances, fixed places or in a table of blocks');
  try {
    return keyCover(expanded, maximumLength);
  } catch (error) {
    if (error instanceof CoverError) refuse(pattern, error.why);
    throw error;
  }
}

/** The farthest that any pair of the pattern is apart. */
export function reachOf(pattern: Pattern): Reach {
  switch (pattern.kind) {
    case 'causal':
      return { back: Infinity, ahead: 0 };
    case 'window': {
      const { left, right, dilation = 1 } = pattern;
      return { back: ended(left * dilation), ahead: ended(right * dilation) };
    }
    case 'diagonals':
      return {
        back: pattern.offsets.reduce((most, offset) => Math.max(most, offset), 0),
        ahead: pattern.offsets.reduce((most, offset) => Math.max(most, -offset), 0),
      };
    case 'blockLocal': {
      const { block, back = 0, ahead = 0 } = pattern;
      return { back: (back + 1) * block - 1, ahead: (ahead + 1) * block - 1 };
    }
    case 'union':
      return pattern.of
        .map(reachOf)
        .reduce((a, b) => ({ back: Math.max(a.back, b.back), ahead: Math.max(a.ahead, b.ahead) }), {
          back: 0,
          ahead: 0,
        });
    case 'intersect':
      return pattern.of.map(reachOf).reduce(nearer, { back: Infinity, ahead: Infinity });
    default: {
      const expanded = isFamily(pattern) ? definitionOf(pattern).expand?.(pattern) : undefined;
      return expanded === undefined ? { back: Infinity, ahead: Infinity } : reachOf(expanded);
    }
  }
}

/** Numbers that follow each other, as first and count. */
export function runsOf(places: readonly number[]): { readonly first: number; readonly count: number }[] {
  const runs: { first: number; count: number }[] = [];
  for (const place of places) {
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.count === place) last.count++;
    else runs.push({ first: place, count: 1 });
  }
  return runs;
}

function intersection(parts: readonly Pattern[], maximumLength: number | undefined): KeyCover {
  const reach = parts.map(reachOf).reduce(nearer, { back: Infinity, ahead: Infinity });
  const covers: KeyCover[] = [];
  let refusal: unknown;
  for (const part of parts) {
    try {
      const cover = keyCover(part, maximumLength);
      covers.push(cover.reach === undefined ? cover : { ...cover, reach: nearer(cover.reach, reach) });
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      refusal = error;
    }
  }
  // Whatever one part cannot say in pieces, a window beside it can bound.
  if (reach.back < Infinity && reach.ahead < Infinity) covers.push({ ...NOTHING, reach });
  const [first, ...others] = covers;
  if (first === undefined || (refusal !== undefined && covers.every((cover) => cover.reach?.back === Infinity)))
    throw refusal;
  return others.reduce((best, cover) => (sizeOf(cover) < sizeOf(best) ? cover : best), first);
}

/** Keys for each query, about. */
function sizeOf({ reach, columns, table, rows }: KeyCover): number {
  const near = reach === undefined ? 0 : Math.min(reach.back, FAR) + Math.min(reach.ahead, FAR) + 1;
  const blocks = table === undefined ? 0 : table.block * Math.max(0, ...table.rows.map((row) => row.length));
  return near + columns.length + blocks + rows.length;
}

function joined(a: KeyCover, b: KeyCover): KeyCover {
  const reach =
    a.reach && b.reach
      ? { back: Math.max(a.reach.back, b.reach.back), ahead: Math.max(a.reach.ahead, b.reach.ahead) }
      : (a.reach ?? b.reach);
  return {
    reach,
    columns: ascending(a.columns, b.columns),
    table: joinedTables(a.table, b.table),
    rows: ascending(a.rows, b.rows),
  };
}

function joinedTables(a: BlockTable | undefined, b: BlockTable | undefined): BlockTable | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.block !== b.block) {
    throw new PatternError(`an ONNX export takes tables of blocks of one size, not of ${a.block} and ${b.block}`);
  }
  const rows = Array.from({ length: Math.max(a.rows.length, b.rows.length) }, (_, i) =>
    ascending(a.rows[i] ?? [], b.rows[i] ?? []),
  );
  return { block: a.block, rows };
}

function ascending(a: readonly number[], b: readonly number[]): number[] {
  return [...new Set([...a, ...b])].sort((x, y) => x - y);
}

function nearer(a: Reach, b: Reach): Reach {
  return { back: Math.min(a.back, b.back), ahead: Math.min(a.ahead, b.ahead) };
}

function ended(reach: number): number {
  return reach >= FAR ? Infinity : reach;
}

function places(pattern: Pattern, start: number, count: number): number[] {
  if (count > MOST_PLACES) refuse(pattern, `has more than ${MOST_PLACES} positions`);
  return Array.from({ length: count }, (_, i) => start + i);
}

/** The rows that a random draw gives up to the length. */
export function drawnTable(pattern: RandomBlocks, maximumLength: number | undefined): BlockTable {
  if (maximumLength === undefined) refuse(pattern, 'draws blocks for texts of any length: say a maximum length');
  const { block } = pattern;
  const rows = Array.from({ length: Math.ceil((maximumLength ?? 0) / block) }, (_, i) => randomKeyBlocks(pattern, i));
  return { block, rows };
}

/** A pattern that is no pieces, and why. */
class CoverError extends PatternError {
  readonly why: string;
  constructor(pattern: Pattern, why: string) {
    super(`${formatPattern(pattern)} cannot be written in ONNX operators: it ${why}`);
    this.why = why;
  }
}

function refuse(pattern: Pattern, why: string): never {
  throw new CoverError(pattern, why);
}

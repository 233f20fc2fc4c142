import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import { documents, ordered } from '../pattern/build/sparse.ts';
import { checkPattern } from '../pattern/check.ts';
import { globalTokens, sinks } from '../pattern/constructors.ts';
import { hasPerHead } from '../pattern/heads.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { BitmapStore } from './bitmap.ts';
import { BITMAP_WORDS, type BlockMask, type BlockRows } from './block-mask.ts';
import { MAX_BITMAPS } from './kept-blocks.ts';
import { planPattern } from './plan.ts';
import { planContext } from './planned.ts';
import { RowRefiner } from './refine-rows.ts';

/**
 * What is known only when a batch is at hand. Each list has one element for each of B batch entries; pairs are cut by all
 * that is given. Positions are those of the mask's keys.
 */
export interface Refinement {
  /** How many keys of each entry are real; the others are padding, which nobody sees. */
  readonly lengths?: readonly number[];
  /** Where the padding stands. Default right: the first `length` keys are real. */
  readonly padding?: 'left' | 'right';
  /** A document id for each token [B][M]: a query sees its own document alone. Negative: in none, sees nothing. */
  readonly documents?: readonly ArrayLike<number>[];
  /** Positions of global tokens [B][..]: they see all keys, and every query sees them, beside the mask's own pairs. */
  readonly globalTokens?: readonly (readonly number[])[];
  /** The first keys of each entry, which every query sees beside the mask's own pairs: prefix LM, over a causal mask. */
  readonly prefixes?: readonly number[];
  /** The position of each token [B][M]: a query sees no key of a later position than its own. */
  readonly positions?: readonly ArrayLike<number>[];
  /** Any patterns without perHead: pairs to keep, and pairs to add. Additions come first, then all cuts. */
  readonly within?: readonly Pattern[];
  readonly extra?: readonly Pattern[];
}

/**
 * A mask with one of its own for each batch entry: `batch[b]` allows what
 * intersect(union(mask.pattern, extra...), within...) does, which is also its pattern. Nothing is compiled again: blocks that
 * a refinement does not touch keep their bitmaps, rows of blocks without a change are shared, and entries refined alike are
 * the same object. Time and memory proportional to the kept blocks of rows that change, and the touched blocks' bitmaps.
 *
 * Throws ArgumentError for lists that do not fit each other or the mask, and PatternError for bad ids or positions.
 */
export function refineMask(mask: BlockMask, refinement: Refinement): BlockMask {
  if (mask.batch !== undefined)
    throw new ArgumentError('refineMask: the mask was refined before; refine the first one');
  const entries = checkRefinement(mask, refinement);
  const store = new BitmapStore(MAX_BITMAPS);
  // In the order of their indices, which they keep.
  for (let b = 0; b < mask.bitmaps.length; b += BITMAP_WORDS) store.add(mask.bitmaps.subarray(b, b + BITMAP_WORDS));

  const known = new Map<string, { pattern: Pattern; rows: readonly BlockRows[] }>();
  const refined = Array.from({ length: entries }, (_, b) => {
    const { within, extra } = partsOf(mask, refinement, b);
    const key = JSON.stringify([within, extra]);
    const same = known.get(key) ?? refineEntry(mask, within, extra, store);
    known.set(key, same);
    return same;
  });
  const bitmaps = store.words();
  const { batch: _, ...base } = mask;
  const masks = new Map(
    [...known.values()].map((entry) => [entry, { ...base, pattern: entry.pattern, rows: entry.rows, bitmaps }]),
  );
  return { ...base, batch: refined.map((entry) => masks.get(entry) ?? base) };
}

function refineEntry(
  mask: BlockMask,
  within: readonly Pattern[],
  extra: readonly Pattern[],
  store: BitmapStore,
): { pattern: Pattern; rows: readonly BlockRows[] } {
  const added: Pattern = extra.length === 0 ? mask.pattern : { kind: 'union', of: [mask.pattern, ...extra] };
  const pattern: Pattern = within.length === 0 ? added : { kind: 'intersect', of: [added, ...within] };
  if (within.length + extra.length === 0) return { pattern, rows: mask.rows };
  const context = planContext(mask.keys);
  const refiner = new RowRefiner(
    mask,
    extra.length === 0 ? undefined : planPattern({ kind: 'union', of: extra }, context),
    within.length === 0 ? undefined : planPattern({ kind: 'intersect', of: within }, context),
    store,
  );
  return { pattern, rows: mask.rows.map((rows) => refiner.refine(rows)) };
}

/** The patterns of one batch entry. */
function partsOf(mask: BlockMask, refinement: Refinement, b: number): { within: Pattern[]; extra: Pattern[] } {
  const within: Pattern[] = [];
  const extra: Pattern[] = [];
  const length = refinement.lengths?.[b];
  if (length !== undefined && length < mask.keys) {
    const start = refinement.padding === 'left' ? mask.keys - length : 0;
    within.push({ kind: 'columns', start, count: length });
  }
  const ids = refinement.documents?.[b];
  if (ids !== undefined) within.push(documents({ ids: Array.from(ids) }));
  const positions = refinement.positions?.[b];
  if (positions !== undefined) within.push(ordered(Array.from(positions)));
  const own = refinement.within?.[b];
  if (own !== undefined) within.push(own);
  const globals = refinement.globalTokens?.[b] ?? [];
  if (globals.length > 0) extra.push(globalTokens({ positions: globals }));
  const prefix = refinement.prefixes?.[b] ?? 0;
  if (prefix > 0) extra.push(sinks(prefix));
  const more = refinement.extra?.[b];
  if (more !== undefined) extra.push(more);
  return { within, extra };
}

/** Returns B. */
function checkRefinement(mask: BlockMask, refinement: Refinement): number {
  const { padding, ...lists } = refinement;
  const fail = (what: string): never => {
    throw new ArgumentError(`refineMask: ${what}`);
  };
  if (padding !== undefined && padding !== 'left' && padding !== 'right') {
    fail(`padding is ${String(padding)}; it must be left or right`);
  }
  let entries: number | undefined;
  for (const [name, list] of Object.entries(lists)) {
    if (list === undefined) continue;
    if (!Array.isArray(list))
      fail(`${name} is ${typeof list}; it must be a list with one element for each batch entry`);
    if (entries !== undefined && list.length !== entries) {
      fail(
        `${name} has ${counted(list.length, 'element')}; the lists before it have ${entries}, one for each batch entry`,
      );
    }
    entries = list.length;
  }
  if (entries === undefined) return fail('nothing is given; give lengths, documents or another list');
  for (const name of ['lengths', 'prefixes'] as const) {
    for (const [b, value] of (refinement[name] ?? []).entries()) {
      if (Number.isInteger(value) && value >= 0 && value <= mask.keys) continue;
      fail(`${name}[${b}] is ${String(value)}; it must be an integer from 0 to the ${counted(mask.keys, 'key')}`);
    }
  }
  for (const name of ['documents', 'positions'] as const) {
    for (const [b, values] of (refinement[name] ?? []).entries()) {
      if (values.length === mask.keys) continue;
      fail(
        `${name}[${b}] has ${counted(values.length, 'number')}; it must have one for each of the ${counted(mask.keys, 'key')}`,
      );
    }
  }
  for (const [b, positions] of (refinement.globalTokens ?? []).entries()) {
    const bad = positions.find((position) => !Number.isInteger(position) || position < 0 || position >= mask.keys);
    if (bad !== undefined) {
      fail(`globalTokens[${b}] has ${String(bad)}; positions must be integers from 0 to ${mask.keys - 1}`);
    }
  }
  for (const name of ['within', 'extra'] as const) {
    for (const [b, pattern] of (refinement[name] ?? []).entries()) {
      checkPattern(pattern);
      if (hasPerHead(pattern)) fail(`${name}[${b}] differs by head; a refinement is the same for all heads`);
    }
  }
  return entries;
}

import { distinctHeads } from '../../pattern/heads.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import { BitmapStore } from '../bitmap.ts';
import { BLOCK_SIDE, type BlockMask } from '../block-mask.ts';
import { compileRows, isCompiled } from '../compile.ts';
import { MAX_BITMAPS } from '../kept-blocks.ts';
import type { TokenClasses } from './classes.ts';
import { workOf } from './cost.ts';
import { gatherClasses } from './gather.ts';
import { type HeadPass, joinHeads, type OrderedRows, type Pass } from './passes.ts';
import { type ClassPattern, restrictPattern } from './restrict.ts';
import { splitPattern, unionOf } from './split.ts';

/** Share of the work of a mask that an arrangement must save, by default. */
const LEAST_GAIN = 0.2;

/** What one pass of a head computes: a pattern in natural order, or one within classes of tokens. */
type Plan = { readonly pattern: Pattern } | { readonly classes: TokenClasses; readonly patternOf: ClassPattern };

/**
 * The pairs of a mask as one or more passes, each in an order of queries and keys in which the blocks fill up, so that kernels
 * compute fewer pairs in vain: a dilated window is a plain window between the tokens of a residue class, a column of a grid is a
 * row of its transpose. No two passes have a pair in common, together they have all, and the first has every query. Of a union
 * the scattered parts get a pass each, the others one in natural order. undefined where that would not save `leastGain` of the work,
 * and where nothing is known of the pattern.
 *
 * Analytic: time and memory proportional to the tokens and the kept blocks. `mask` is one that compileMask made; a refined mask,
 * or one made otherwise, stays as it is.
 */
export function arrangeMask(mask: BlockMask, leastGain = LEAST_GAIN): readonly Pass[] | undefined {
  const { pattern, queries, keys, heads, headRows } = mask;
  if (!isCompiled(mask) || queries <= BLOCK_SIDE || Math.max(queries, keys) >= 2 ** 31) return undefined;
  const { patterns } = distinctHeads(pattern, heads);
  const plans = patterns.map((own) => planHead(own, Math.max(queries, keys)));
  if (plans.every((own) => own === undefined)) return undefined;
  let isArranged = false;
  const passes = mask.rows.map((rows, i): HeadPass[] => {
    const plain: HeadPass = { rows, bitmaps: mask.bitmaps };
    const plan = plans[i];
    if (plan === undefined) return [plain];
    const arranged = plan.map((step, p) => makePass(step, p === 0, mask));
    if (workOfPasses(arranged) > (1 - leastGain) * workOfPasses([plain])) return [plain];
    isArranged = true;
    return arranged;
  });
  return isArranged ? joinHeads(passes, headRows, queries, keys) : undefined;
}

function workOfPasses(passes: readonly HeadPass[]): number {
  return passes.reduce(
    (sum, { rows, bitmaps }, p) =>
      sum + workOf(rows, bitmaps, { isGathered: rows.keyOrder !== undefined, continues: p > 0 }),
    0,
  );
}

/** The passes of one head's pattern, disjoint; undefined where none is scattered or it is not known how to take off one from another. */
function planHead(pattern: Pattern, tokens: number): Plan[] | undefined {
  const split = splitPattern(pattern);
  if (split === undefined || split.scattered.some(({ classes }) => classes.count > tokens)) return undefined;
  const { plain, scattered } = split;
  // What is not scattered stays whole, and is taken off from the others where that can be said of classes. It is computed last: it
  // takes up the results so far in their own order, which memory likes better.
  const first = planScattered(scattered, plain);
  if (first !== undefined) return plain.length === 0 ? first : [...first, { pattern: unionOf(plain) }];
  const alone = planScattered(scattered, []);
  if (alone === undefined) return undefined;
  const rest: Pattern = { kind: 'complement', of: unionOf(scattered.map((part) => part.pattern)) };
  return [...alone, { pattern: { kind: 'intersect', of: [unionOf(plain), rest] } }];
}

/** Each part without those before it. */
function planScattered(
  parts: readonly { readonly classes: TokenClasses; readonly pattern: Pattern }[],
  before: readonly Pattern[],
): Plan[] | undefined {
  const earlier = [...before];
  const plans: Plan[] = [];
  for (const { classes, pattern } of parts) {
    const own = restrictPattern(pattern, classes);
    const taken = restrictPattern({ kind: 'union', of: [...earlier] }, classes);
    if (own === undefined || taken === undefined) return undefined;
    const isFirst = earlier.length === 0;
    plans.push({
      classes,
      patternOf: isFirst ? own : (c) => ({ kind: 'intersect', of: [own(c), { kind: 'complement', of: taken(c) }] }),
    });
    earlier.push(pattern);
  }
  return plans;
}

function makePass(plan: Plan, isFirst: boolean, mask: BlockMask): HeadPass {
  if ('pattern' in plan) return plainPass(plan.pattern, mask);
  const store = new BitmapStore(MAX_BITMAPS);
  const rows = gatherClasses(mask, plan.classes, plan.patternOf, store);
  return { rows: isFirst ? withEveryQuery(rows, mask.queries) : rows, bitmaps: store.words() };
}

function plainPass(pattern: Pattern, { queries, keys, queryOffset }: BlockMask): HeadPass {
  const store = new BitmapStore(MAX_BITMAPS);
  const rows = compileRows(pattern, queries, keys, queryOffset, store);
  return { rows, bitmaps: store.words() };
}

/** The first pass writes every row of the output: those that are in no class come last, and see nothing. */
function withEveryQuery(rows: OrderedRows, queries: number): OrderedRows {
  const { queryOrder = new Int32Array(), rowStart } = rows;
  const isThere = new Uint8Array(queries);
  for (const q of queryOrder) if (q >= 0) isThere[q] = 1;
  const missing: number[] = [];
  for (let q = 0; q < queries; q++) if (isThere[q] === 0) missing.push(q);
  if (missing.length === 0) return rows;
  while (missing.length % BLOCK_SIDE !== 0) missing.push(-1);
  const order = new Int32Array(queryOrder.length + missing.length);
  order.set(queryOrder);
  order.set(missing, queryOrder.length);
  const starts = new Uint32Array(rowStart.length + missing.length / BLOCK_SIDE).fill(rows.column.length);
  starts.set(rowStart);
  return { ...rows, rowStart: starts, queryOrder: order };
}

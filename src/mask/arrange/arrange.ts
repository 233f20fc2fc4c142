import { distinctHeads } from '../../pattern/heads.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import { BitmapStore } from '../bitmap.ts';
import { BLOCK_SIDE, type BlockMask, type BlockRows } from '../block-mask.ts';
import { compileRows, isCompiled } from '../compile.ts';
import { MAX_BITMAPS } from '../kept-blocks.ts';
import type { TokenClasses } from './classes.ts';
import { workOf } from './cost.ts';
import { gatherClasses } from './gather.ts';
import { type HeadPass, joinHeads, type OrderedRows, type Pass } from './passes.ts';
import { type ClassPattern, restrictPattern } from './restrict.ts';
import { addSharedKeys, findSharedKeys, type SharedKeys } from './shared-keys.ts';
import { type ScatteredPart, splitPattern, unionOf } from './split.ts';

/** Share of the work of a mask that an arrangement must save, by default. */
const LEAST_GAIN = 0.2;

/** What one pass of a head computes within classes of tokens, and between every query and a few keys that all classes are given. */
interface ClassPlan {
  readonly classes: TokenClasses;
  readonly patternOf: ClassPattern;
  readonly shared?: readonly number[];
}

/** The same in natural order. */
interface PlainPlan {
  readonly pattern: Pattern;
}

type Plan = PlainPlan | ClassPlan;

/**
 * The pairs of a mask as one or more passes, each in an order of queries and keys in which the blocks fill up, so that kernels
 * compute fewer pairs in vain: a dilated window is a plain window between the tokens of a residue class, a column of a grid is a
 * row of its transpose. No two passes have a pair in common, together they have all, and the first has every query. Of a union
 * the scattered parts get a pass each, the others one in natural order; a few sinks or global keys join the first. undefined where that would not save `leastGain` of the work,
 * and where nothing is known of the pattern.
 *
 * Analytic: time and memory proportional to the tokens and the kept blocks. `mask` is one that compileMask made; a refined mask,
 * or one made otherwise, stays as it is.
 */
export function arrangeMask(mask: BlockMask, leastGain = LEAST_GAIN): readonly Pass[] | undefined {
  const { pattern, queries, keys, heads, headRows } = mask;
  if (!isCompiled(mask) || queries <= BLOCK_SIDE || Math.max(queries, keys) >= 2 ** 31) return undefined;
  const { patterns } = distinctHeads(pattern, heads);
  const plans = patterns.map((own) => planHead(own, mask));
  if (plans.every((own) => own === undefined)) return undefined;
  let isArranged = false;
  const passes = mask.rows.map((rows, i): HeadPass[] => {
    const plain: HeadPass = { rows, bitmaps: mask.bitmaps };
    const plan = plans[i];
    if (plan === undefined) return [plain];
    const arranged = plan.map((step, p) => makePass(step, p === 0, mask, rows));
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
function planHead(pattern: Pattern, mask: BlockMask): Plan[] | undefined {
  const split = splitPattern(pattern);
  const tokens = Math.max(mask.queries, mask.keys);
  if (split === undefined || split.scattered.some(({ classes }) => classes.count > tokens)) return undefined;
  const { plain, scattered } = split;
  return planShared(scattered, findSharedKeys(plain, mask)) ?? planParts(scattered, plain);
}

/** With a few keys that every class is given. */
function planShared(scattered: readonly ScatteredPart[], { keys, rest }: SharedKeys): Plan[] | undefined {
  if (keys.length === 0) return undefined;
  const taken: Pattern = { kind: 'global', positions: keys, direction: 'keys' };
  const [first, ...others] = planScattered(scattered, [...rest, taken]) ?? [];
  if (first === undefined) return undefined;
  const plans: Plan[] = [{ ...first, shared: keys }, ...others];
  if (rest.length > 0)
    plans.push({ pattern: { kind: 'intersect', of: [unionOf(rest), { kind: 'complement', of: taken }] } });
  return plans;
}

function planParts(scattered: readonly ScatteredPart[], plain: readonly Pattern[]): Plan[] | undefined {
  // What is not scattered stays whole, and is taken off from the others where that can be said of classes. It is computed
  // first: of the passes backward the first reads the outputs, and these then lie one after the other.
  const others = planScattered(scattered, plain);
  if (others !== undefined) return plain.length === 0 ? others : [{ pattern: unionOf(plain) }, ...others];
  const alone = planScattered(scattered, []);
  if (alone === undefined) return undefined;
  const rest: Pattern = { kind: 'complement', of: unionOf(scattered.map((part) => part.pattern)) };
  return [{ pattern: { kind: 'intersect', of: [unionOf(plain), rest] } }, ...alone];
}

/** Each part without those before it. */
function planScattered(parts: readonly ScatteredPart[], before: readonly Pattern[]): ClassPlan[] | undefined {
  const earlier = [...before];
  const plans: ClassPlan[] = [];
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

/** `natural`: the mask's own rows of the head. */
function makePass(plan: Plan, isFirst: boolean, mask: BlockMask, natural: BlockRows): HeadPass {
  if ('pattern' in plan) return plainPass(plan.pattern, mask);
  const store = new BitmapStore(MAX_BITMAPS);
  const { classes, patternOf, shared } = plan;
  const gathered = gatherClasses(mask, classes, patternOf, store);
  const complete = isFirst ? withEveryQuery(gathered, mask.queries) : gathered;
  const rows = shared ? addSharedKeys(complete, shared, natural, mask.bitmaps, store) : complete;
  return { rows, bitmaps: store.words() };
}

function plainPass(pattern: Pattern, { queries, keys, queryOffset }: BlockMask): HeadPass {
  const store = new BitmapStore(MAX_BITMAPS);
  const rows = compileRows(pattern, queries, keys, queryOffset, store);
  return { rows, bitmaps: store.words() };
}

/** The first pass writes every row of the output: those that are in no class come last. */
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

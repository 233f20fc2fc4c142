import { expand } from '../pattern/kinds/registry.ts';
import type { FamilyPattern, Pattern } from '../pattern/pattern.ts';
import { BITMAP_WORDS, BLOCK_SIDE } from './block-mask.ts';
import { ballRectangles, neighbourhoodRectangles, shiftedWindowsRectangles } from './plan-grid.ts';
import { planCausal, planDense, planDilated, planGlobal, planSinks, planWindow } from './plan-leaves.ts';
import { planOrdered, planShift, shiftedContext } from './plan-moved.ts';
import { planColumns, planDiagonals, planRows, planSameCoordinate } from './plan-periodic.ts';
import { planBlockLocal, planDocuments } from './plan-ranges.ts';
import { planScatter } from './plan-scatter.ts';
import { blocksRectangles, groupsRectangles, randomBlocksRectangles, randomTokensRectangles } from './plan-tables.ts';
import {
  BLOCK_EMPTY,
  BLOCK_FULL,
  intern,
  MAX_IDENTITIES,
  type PlanContext,
  type PlannedPattern,
  UNDECIDED,
} from './planned.ts';
import { complementSpans, emptySpans, intersectSpans, type Spans, unionSpans } from './spans.ts';

/** Plans a pattern without perHead (see headPattern). Time proportional to its size. */
export function planPattern(pattern: Pattern, context: PlanContext): PlannedPattern {
  switch (pattern.kind) {
    case 'dense':
      return planDense(context);
    case 'causal':
      return planCausal(context);
    case 'window':
      return (pattern.dilation ?? 1) === 1 ? planWindow(pattern, context) : planDilated(pattern, context);
    case 'sinks':
      return planSinks(pattern, context);
    case 'global':
      return planGlobal(pattern, context);
    case 'union':
      return planUnion(planParts(pattern.of, context), context);
    case 'intersect':
      return planIntersect(planParts(pattern.of, context), context);
    case 'complement':
      return planComplement(planPattern(pattern.of, context), context);
    case 'perHead':
      throw new Error('planPattern: a perHead must be resolved by headPattern first');
    default: {
      const expanded = expand(pattern);
      return expanded === undefined ? planFamily(pattern, context) : planPattern(expanded, context);
    }
  }
}

/** Plans a kind of kinds/ that has no expansion. */
function planFamily(pattern: FamilyPattern, context: PlanContext): PlannedPattern {
  switch (pattern.kind) {
    case 'columns':
      return planColumns(pattern, context);
    case 'rows':
      return planRows(pattern, context);
    case 'diagonals':
      return planDiagonals(pattern, context);
    case 'sameCoordinate':
      return planSameCoordinate(pattern, context);
    case 'blockLocal':
      return planBlockLocal(pattern, context);
    case 'documents':
      return planDocuments(pattern, context);
    case 'groups':
      return planScatter(groupsRectangles(pattern), context);
    case 'blocks':
      return planScatter(blocksRectangles(pattern), context);
    case 'randomTokens':
      return planScatter(randomTokensRectangles(pattern), context);
    case 'randomBlocks':
      return planScatter(randomBlocksRectangles(pattern), context);
    case 'neighbourhood':
      return planScatter(neighbourhoodRectangles(pattern), context);
    case 'shiftedWindows':
      return planScatter(shiftedWindowsRectangles(pattern), context);
    case 'ball':
      return planScatter(ballRectangles(pattern), context);
    case 'ordered':
      return planOrdered(pattern, context);
    case 'shift':
      return planShift(pattern, planPattern(pattern.of, shiftedContext(pattern, context)), context);
    default:
      throw new Error(`planFamily: ${pattern.kind} has neither an expansion nor a plan`);
  }
}

function planParts(parts: readonly Pattern[], context: PlanContext): PlannedPattern[] {
  return parts.map((part) => planPattern(part, context));
}

function planUnion(parts: PlannedPattern[], context: PlanContext): PlannedPattern {
  const part = emptySpans();
  const sum = emptySpans();
  const scratch = new Uint32Array(BITMAP_WORDS);
  return {
    isScattered: parts.some((p) => p.isScattered),
    low: (first) => parts.reduce((low, p) => Math.min(low, p.low(first)), Infinity),
    high: (last) => parts.reduce((high, p) => Math.max(high, p.high(last)), -Infinity),
    spans(first, last, from, to, out) {
      out.length = 0;
      for (const p of parts) {
        p.spans(first, last, from, to, part);
        if (part.length === 0) continue;
        unionSpans(out, part, sum);
        swap(out, sum);
      }
    },
    identify: identifyCombined(parts, BLOCK_EMPTY, BLOCK_FULL, context),
    paint(q0, k0, out) {
      out.fill(0);
      for (const p of parts) {
        p.paint(q0, k0, scratch);
        for (let i = 0; i < BITMAP_WORDS; i++) out[i] = (out[i] ?? 0) | (scratch[i] ?? 0);
      }
    },
  };
}

function planIntersect(parts: PlannedPattern[], context: PlanContext): PlannedPattern {
  const part = emptySpans();
  const product = emptySpans();
  const scratch = new Uint32Array(BITMAP_WORDS);
  const low = (first: number): number => parts.reduce((most, p) => Math.max(most, p.low(first)), -Infinity);
  const high = (last: number): number => parts.reduce((least, p) => Math.min(least, p.high(last)), Infinity);
  return {
    isScattered: parts.some((p) => p.isScattered),
    low,
    high,
    spans(first, last, from, to, out) {
      out.length = 0;
      // Each part is asked only about keys that no other part rules out: a long list of global tokens costs nothing
      // outside the window that it is intersected with.
      const start = Math.max(from, Math.floor(low(first) / BLOCK_SIDE));
      const end = Math.min(to, Math.floor(high(last) / BLOCK_SIDE) + 1);
      if (start >= end) return;
      for (const [i, p] of parts.entries()) {
        if (i === 0) {
          p.spans(first, last, start, end, out);
        } else {
          p.spans(first, last, start, end, part);
          intersectSpans(out, part, product);
          swap(out, product);
        }
        if (out.length === 0) return;
      }
    },
    identify: identifyCombined(parts, BLOCK_FULL, BLOCK_EMPTY, context),
    paint(q0, k0, out) {
      out.fill(0xffffffff);
      for (const p of parts) {
        p.paint(q0, k0, scratch);
        for (let i = 0; i < BITMAP_WORDS; i++) out[i] = (out[i] ?? 0) & (scratch[i] ?? 0);
      }
    },
  };
}

function planComplement(part: PlannedPattern, context: PlanContext): PlannedPattern {
  const own = emptySpans();
  const ids = new Map<number, number>();
  return {
    isScattered: part.isScattered,
    low: () => 0,
    high: () => context.keys - 1,
    spans(first, last, from, to, out) {
      part.spans(first, last, from, to, own);
      complementSpans(own, from, to, out);
    },
    identify(q0, k0, side) {
      const identity = part.identify(q0, k0, side);
      if (identity === UNDECIDED) return UNDECIDED;
      if (identity === BLOCK_EMPTY) return BLOCK_FULL;
      return identity === BLOCK_FULL ? BLOCK_EMPTY : intern(ids, identity, context);
    },
    paint(q0, k0, out) {
      part.paint(q0, k0, out);
      for (let i = 0; i < BITMAP_WORDS; i++) out[i] = ~(out[i] ?? 0);
    },
  };
}

/** Identity of a union (neutral empty, absorbing full) or an intersection (the reverse) from those of its parts. */
function identifyCombined(
  parts: PlannedPattern[],
  neutral: number,
  absorbing: number,
  context: PlanContext,
): (q0: number, k0: number, side: number) => number {
  const pairs = new Map<number, number>();
  return (q0, k0, side) => {
    let identity = neutral;
    let isDecided = true;
    for (const p of parts) {
      const own = p.identify(q0, k0, side);
      if (own === absorbing) return absorbing;
      if (own === UNDECIDED) isDecided = false;
      if (!isDecided || own === neutral || own === identity) continue;
      identity = identity === neutral ? own : intern(pairs, identity * MAX_IDENTITIES + own, context);
    }
    return isDecided ? identity : UNDECIDED;
  };
}

function swap(a: Spans, b: Spans): void {
  const { runs, length } = a;
  a.runs = b.runs;
  a.length = b.length;
  b.runs = runs;
  b.length = length;
}

import { plural } from '../../counted.ts';
import { ArgumentError, MemoryError } from '../../errors.ts';
import { attentionCost, type CostComparison, receptiveField } from '../../mask/index.ts';
import type { Pattern } from '../../pattern/index.ts';
import { decimalBytes } from './decimal-bytes.ts';
import { findTask } from './find-task.ts';
import { type MemoryPlan, PROCESS_BYTES, planMemory, scoreBytes } from './memory.ts';
import { causalRecommendation, denseRecommendation, type Recommendation, type Task } from './recommendations.ts';

export const MAX_LENGTH = 2 ** 24;

/** Dense attention is recommended where the first choice saves less than this factor of its work. */
const WORTH = 1.5;

export interface Question {
  readonly task: string;
  /** N. */
  readonly length: number;
  /** What the run may take, without the weights. */
  readonly memoryBytes: number;
  readonly heads?: number;
  /** D = E. */
  readonly width?: number;
  readonly layers?: number;
}

export interface Shape {
  readonly length: number;
  readonly heads: number;
  readonly width: number;
  readonly layers: number;
}

/** One pattern for the question, with what it takes. Costs are those of one layer, the mean where layers differ. */
export interface Candidate {
  readonly recommendation: Recommendation;
  /** The size chosen from `recommendation.sizes`. */
  readonly size: number;
  /** The patterns of consecutive layers, repeated. */
  readonly patterns: readonly Pattern[];
  readonly pairs: number;
  readonly computedPairs: number;
  /** Of one forward layer. */
  readonly flops: number;
  readonly memory: MemoryPlan;
  /** Tokens that the last one depends on after all layers. */
  readonly reach: number;
}

export interface Plan {
  readonly task: Task;
  readonly shape: Shape;
  readonly memoryBytes: number;
  /** Those that fit, best first. */
  readonly candidates: readonly Candidate[];
  /** Those that do not. */
  readonly tooLarge: readonly Candidate[];
  readonly dense: Candidate;
  /** What dense attention's scores would take where they are written down. */
  readonly denseScoreBytes: number;
}

/**
 * Patterns for a task, a length and a memory budget, from the table in recommendations.ts: those that fit, with the largest
 * of their sizes that does. Dense attention comes first where sparse patterns save little. Nothing is measured.
 *
 * Throws ArgumentError for an unknown task and nonsense numbers, MemoryError where no pattern fits.
 */
export function planAttention(question: Question): Plan {
  const { length, memoryBytes, heads = 12, width = 64, layers = 12 } = question;
  const task = findTask(question.task);
  for (const [name, value, most] of [
    ['length', length, MAX_LENGTH],
    ['heads', heads, 1024],
    ['width', width, 256],
    ['layers', layers, 1024],
  ] as const) {
    if (Number.isSafeInteger(value) && value >= 1 && value <= most) continue;
    throw new ArgumentError(
      `advise: ${name} is ${String(value)}; it must be a whole number from 1 to ${most.toLocaleString('en-US')}`,
    );
  }
  if (!(memoryBytes > 0))
    throw new ArgumentError(`advise: memoryBytes is ${String(memoryBytes)}; it must be a number above 0`);
  const shape = { length, heads, width, layers };
  const isCausal = task.recommendations.every((own) => own.isCausal);
  const dense = candidate(isCausal ? causalRecommendation : denseRecommendation, 0, shape);
  const sparse = task.recommendations.map((own) => largestFitting(own, shape, memoryBytes));
  const [first] = sparse;
  const isShort = first !== undefined && dense.computedPairs < WORTH * first.computedPairs;
  const all = isShort ? [dense, ...sparse] : sparse;
  const candidates = all.filter(({ memory }) => memory.bytes <= memoryBytes);
  const tooLarge = all.filter(({ memory }) => memory.bytes > memoryBytes);
  if (candidates.length === 0) throw tooLittle(tooLarge, shape, memoryBytes);
  return { task, shape, memoryBytes, candidates, tooLarge, dense, denseScoreBytes: scoreBytes(shape) };
}

/** The first of the sizes that fits, else the last. */
function largestFitting(recommendation: Recommendation, shape: Shape, memoryBytes: number): Candidate {
  const [first = 0, ...smaller] = recommendation.sizes;
  let chosen = candidate(recommendation, first, shape);
  for (const size of smaller) {
    if (chosen.memory.bytes <= memoryBytes) break;
    chosen = candidate(recommendation, size, shape);
  }
  return chosen;
}

function candidate(recommendation: Recommendation, size: number, shape: Shape): Candidate {
  const { length, heads, width, layers } = shape;
  const patterns = recommendation.layers(length, size);
  const costs = patterns.map((pattern) => costOf(pattern, { length, heads, width }));
  const mean = (of: (cost: CostComparison) => number): number => {
    let sum = 0;
    for (let layer = 0; layer < layers; layer++) {
      const cost = costs[layer % costs.length];
      if (cost !== undefined) sum += of(cost);
    }
    return sum / layers;
  };
  return {
    recommendation,
    size,
    patterns,
    pairs: mean(({ pattern }) => pattern.pairs),
    computedPairs: mean(({ pattern }) => pattern.computedPairs),
    flops: mean(({ pattern }) => pattern.forward.flops),
    memory: planMemory(costs, shape, recommendation.isCausal),
    reach: patterns.slice(0, layers).some(seesEverything)
      ? length
      : receptiveField(patterns, { length, layers, query: length - 1 }).count,
  };
}

function seesEverything({ kind }: Pattern): boolean {
  return kind === 'dense' || kind === 'causal';
}

/** attentionCost, in closed form for the dense patterns, whose blocks are too many to list. */
export function costOf(pattern: Pattern, { length, heads, width }: Omit<Shape, 'layers'>): CostComparison {
  const isDense = seesEverything(pattern);
  const cost = attentionCost(isDense ? { kind: 'window', left: 0, right: 0 } : pattern, {
    queries: length,
    heads,
    queryWidth: width,
  });
  if (!isDense) return cost;
  return { ...cost, pattern: pattern.kind === 'dense' ? cost.dense : cost.causal };
}

function tooLittle(tooLarge: readonly Candidate[], { length }: Shape, memoryBytes: number): MemoryError {
  const smallest = tooLarge.reduce((least, own) => (own.memory.bytes < least.memory.bytes ? own : least));
  const needed = smallest.memory.bytes;
  const tokens = `${length.toLocaleString('en-US')} ${plural(length, 'token needs', 'tokens need')}`;
  return new MemoryError(
    `nothing fits in ${decimalBytes(memoryBytes, Math.floor)}: ${tokens} at least ${decimalBytes(needed, Math.ceil)} ` +
      `beside the model's weights (${smallest.recommendation.name}); ` +
      (memoryBytes < PROCESS_BYTES
        ? `give more memory: ${decimalBytes(PROCESS_BYTES, Math.ceil)} are for the process itself, whatever it reads`
        : 'give more memory, a shorter text, fewer or narrower heads, or fewer layers'),
    needed,
    memoryBytes,
  );
}

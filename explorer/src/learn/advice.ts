/** What `farfield advise` answers, as a page shows it: the plan by src/task/advise, and times of this browser where they are asked for. */
import { formatPattern } from '../../../src/pattern/index.ts';
import {
  type Advice,
  type Answer as Advised,
  advise,
  type Candidate,
  planAttention,
  type Question,
  type Source,
} from '../../../src/task/advise/index.ts';

/** A candidate without what cannot be posted from a worker. */
export interface ShownCandidate {
  readonly id: string;
  readonly name: string;
  readonly why: string;
  readonly claim: string;
  readonly note: string;
  readonly source: Source;
  /** Text forms of the patterns of consecutive layers, repeated. */
  readonly patterns: readonly string[];
  readonly pairs: number;
  readonly computedPairs: number;
  readonly flops: number;
  readonly memoryBytes: number;
  readonly isStreamed: boolean;
  readonly reach: number;
}

export interface ShownPlan {
  readonly task: string;
  readonly length: number;
  readonly heads: number;
  readonly layers: number;
  /** Best first. */
  readonly candidates: readonly ShownCandidate[];
  readonly tooLarge: readonly ShownCandidate[];
  readonly dense: ShownCandidate;
  readonly denseScoreBytes: number;
}

/** Times of one layer in this browser. */
export interface Times {
  readonly threads: number;
  readonly gigaflops: number;
  readonly layers: readonly ({ readonly id: string; readonly predicted: number } & Advice['measured'])[];
}

/** Throws as planAttention() does. */
export function plan(question: Question): ShownPlan {
  const { task, shape, candidates, tooLarge, dense, denseScoreBytes } = planAttention(question);
  return {
    task: task.name,
    length: shape.length,
    heads: shape.heads,
    layers: shape.layers,
    candidates: candidates.map(shown),
    tooLarge: tooLarge.map(shown),
    dense: shown(dense),
    denseScoreBytes,
  };
}

/** Runs one layer of each pattern that fits, and of dense attention, on the kernels. `onShare` is told how far it is. */
export async function measure(question: Question, onShare: (share: number) => void): Promise<Times> {
  const answer: Advised = await advise({ ...question, onMeasured: (done, of) => onShare(done / of) });
  const { advice, dense, threads, gigaflops } = answer;
  const all = advice.some(({ recommendation }) => recommendation.id === dense.recommendation.id)
    ? advice
    : [...advice, dense];
  return {
    threads,
    gigaflops,
    layers: all.map(({ recommendation, predictedMilliseconds, measured }) => ({
      id: recommendation.id,
      predicted: predictedMilliseconds,
      ...measured,
    })),
  };
}

function shown(own: Candidate): ShownCandidate {
  const { id, name, why, claim, note, source } = own.recommendation;
  const { pairs, computedPairs, flops, memory, reach } = own;
  return {
    ...{ id, name, why, claim, note, source },
    patterns: own.patterns.map(formatPattern),
    ...{ pairs, computedPairs, flops, reach },
    memoryBytes: memory.bytes,
    isStreamed: memory.isStreamed,
  };
}

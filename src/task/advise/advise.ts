import { type LayerTime, type MeasureOptions, Stopwatch } from './measure.ts';
import { type Candidate, type Plan, planAttention, type Question } from './plan.ts';

/** A candidate with times of one forward layer on this machine. */
export interface Advice extends Candidate {
  /** From a short calibration and the pairs that kernels compute. */
  readonly predictedMilliseconds: number;
  readonly measured: LayerTime;
}

export interface Answer extends Omit<Plan, 'candidates' | 'dense'> {
  /** Best first. */
  readonly advice: readonly Advice[];
  readonly dense: Advice;
  readonly threads: number;
  /** Speed of the calibration, in 10^9 operations per second. */
  readonly gigaflops: number;
}

/**
 * Plans, and measures one layer of every pattern that fits on this machine, a second or two each. `onMeasured` is told how
 * many are done, of how many.
 * Throws as planAttention does, and what attention() throws.
 */
export async function advise(
  question: Question & MeasureOptions & { readonly onMeasured?: (done: number, of: number) => void },
): Promise<Answer> {
  const { candidates, dense, ...plan } = planAttention(question);
  await using stopwatch = await Stopwatch.start(plan.shape.width, question);
  const of = candidates.length + 1;
  let done = 0;
  const measure = async (candidate: Candidate): Promise<Advice> => {
    question.signal?.throwIfAborted();
    const measured = await stopwatch.measure(candidate, plan.shape);
    question.onMeasured?.(++done, of);
    return { ...candidate, predictedMilliseconds: stopwatch.predict(candidate), measured };
  };
  const advice: Advice[] = [];
  for (const own of candidates) advice.push(await measure(own));
  return {
    ...plan,
    advice,
    dense: advice.find(({ recommendation }) => recommendation === dense.recommendation) ?? (await measure(dense)),
    threads: stopwatch.threads,
    gigaflops: stopwatch.gigaflops,
  };
}

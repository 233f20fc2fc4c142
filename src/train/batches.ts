/** The loss of several batches as if they were one. */
import type { BatchSource } from './data/source.ts';
import type { StepResult, Trainable, TrainingBatch } from './trainable.ts';

/** Up to `count` batches; fewer where the data ends. */
export async function nextBatches(source: BatchSource, count: number): Promise<TrainingBatch[]> {
  const batches: TrainingBatch[] = [];
  while (batches.length < count) {
    const batch = await source.next();
    if (batch === undefined) break;
    batches.push(batch);
  }
  return batches;
}

export interface GradientOptions {
  readonly lossScale: number;
  /** See StepOptions. */
  readonly onNonFinite?: (tensor: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Puts into `gradients` those of the mean loss over all rows of all batches, times `lossScale`: each batch counts by its weight,
 * so that many small batches give what one large one would.
 */
export async function accumulateGradients(
  trainable: Trainable,
  batches: readonly TrainingBatch[],
  gradients: readonly Float32Array[],
  { lossScale, onNonFinite, signal }: GradientOptions,
): Promise<StepResult> {
  for (const gradient of gradients) gradient.fill(0);
  const weights = batches.map(weightOf);
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = new MeanLoss();
  for (const [i, batch] of batches.entries()) {
    const share = batches.length === 1 ? 1 : weights[i] / all;
    const options = {
      lossScale: lossScale * share,
      ...(onNonFinite === undefined ? {} : { onNonFinite }),
      ...(signal === undefined ? {} : { signal }),
    };
    mean.add(await trainable.step(batch, gradients, options), batch);
  }
  return mean.result();
}

/** Adds losses up, each by the weight of its batch. */
export class MeanLoss {
  #loss = 0;
  #weight = 0;
  #tokens = 0;
  #correct: number | undefined;
  #sequences = 0;

  add({ loss, tokens, correct }: StepResult, batch: TrainingBatch): void {
    const weight = weightOf(batch);
    this.#loss += loss * weight;
    this.#weight += weight;
    this.#tokens += tokens;
    this.#sequences += batch.starts.length;
    if (correct !== undefined) this.#correct = (this.#correct ?? 0) + correct;
  }

  result(): StepResult {
    const { loss, tokens } = { loss: this.#loss / this.#weight, tokens: this.#tokens };
    return this.#correct === undefined ? { loss, tokens } : { loss, tokens, correct: this.#correct };
  }

  /** Share of sequences that got their label; undefined for models that do not classify. */
  get accuracy(): number | undefined {
    return this.#correct === undefined ? undefined : this.#correct / this.#sequences;
  }
}

/** What a batch counts in a mean: the sum of its weights, or its sequences where they are what is classified. */
function weightOf({ labels, starts, weights }: TrainingBatch): number {
  return labels === undefined ? weights.reduce((sum, weight) => sum + weight, 0) : starts.length;
}

/** From the outputs of a graph to a loss, and back. */
import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { HostTensor, ProgramOutputs } from '../graph/index.ts';
import type { Floats } from './row-inputs.ts';
import type { StepResult, TrainingBatch } from './trainable.ts';

/** `tokens`: each row has a target. `classes`: each sequence has a label, told from the mean of its rows' logits or from its first row. */
export type RowHead =
  | { readonly kind: 'tokens' }
  | { readonly kind: 'classes'; readonly classes: number; readonly pooling: 'mean' | 'first' };

/** The weighted mean of `losses` [rows, 1]. */
export function tokenLoss(outputs: ProgramOutputs, weights: Float32Array, total: number): number {
  const losses = floatsOf(outputs, 'losses').data;
  let sum = 0;
  // Where a weight is 0 the target is not the caller's.
  for (const [row, weight] of weights.entries()) if (weight !== 0) sum += weight * (losses[row] as number);
  return sum / total;
}

/** The gradients of the loss with respect to `losses` [rows, 1]. */
export function tokenGradients(weights: Float32Array, total: number, scale: number): Record<string, HostTensor> {
  const data = Float32Array.from(weights, (weight) => (weight / total) * scale);
  return { losses: { type: 'float32', data, shape: [weights.length, 1] } };
}

/** The rows of each sequence that its label is told from: their first, and how many. */
export interface Sequences {
  readonly starts: Int32Array;
  readonly rows: number;
}

/**
 * Mean cross entropy of the labels, from `logits` [rows, classes] pooled over each sequence in float64, and its gradients with respect to
 * those where `scale` is given.
 */
export function classLoss(
  outputs: ProgramOutputs,
  { starts, rows }: Sequences,
  labels: Int32Array,
  head: RowHead & { readonly kind: 'classes' },
  scale?: number,
): { readonly result: Pick<StepResult, 'loss' | 'correct'>; readonly gradients: Record<string, HostTensor> } {
  const { classes, pooling } = head;
  const logits = floatsOf(outputs, 'logits').data;
  const data = new Float32Array(scale === undefined ? 0 : logits.length);
  let loss = 0;
  let correct = 0;
  for (const [i, start] of starts.entries()) {
    const count = pooling === 'first' ? 1 : (starts[i + 1] ?? rows) - start;
    const pooled = new Float64Array(classes);
    for (let row = start; row < start + count; row++) {
      for (let c = 0; c < classes; c++) pooled[c] += (logits[row * classes + c] as number) / count;
    }
    const label = labels[i] as number;
    const largest = pooled.indexOf(Math.max(...pooled));
    const shares = pooled.map((logit) => Math.exp(logit - (pooled[largest] as number)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    loss += Math.log(total) + (pooled[largest] as number) - (pooled[label] as number);
    if (largest === label) correct++;
    if (scale === undefined) continue;
    for (let c = 0; c < classes; c++) {
      const own = (shares[c] as number) / total - (c === label ? 1 : 0);
      const gradient = (own * scale) / (starts.length * count);
      for (let row = start; row < start + count; row++) data[row * classes + c] = gradient;
    }
  }
  return {
    result: { loss: loss / starts.length, correct },
    gradients: { logits: { type: 'float32', data, shape: [rows, classes] } },
  };
}

/** @throws ArgumentError for labels that are missing or no classes. */
export function checkLabels({ labels, starts }: TrainingBatch, classes: number): Int32Array {
  if (labels?.length !== starts.length) {
    throw new ArgumentError(
      `batch.labels must have one class for each of the ${counted(starts.length, 'sequence')}, it has ${labels?.length ?? 'none'}`,
    );
  }
  for (const [i, label] of labels.entries()) {
    if (!(label >= 0 && label < classes)) {
      throw new ArgumentError(`batch.labels[${i}] is ${label}; classes are integers from 0 to ${classes - 1}`);
    }
  }
  return labels;
}

export function floatsOf(outputs: ProgramOutputs, name: string): Floats {
  const tensor = outputs[name];
  if (tensor?.type !== 'float32') throw new ArgumentError(`the graph must have the output ${name}`);
  return tensor;
}

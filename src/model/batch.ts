import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { TrainingBatch } from './trainable.ts';

export interface BatchChecks {
  /** Rows of the model: those of the batch, or fewer where a row is a patch. */
  readonly rows: number;
  readonly sequences: number;
  /** What a model of tokens allows; undefined for pixels, which are 0 to 255. */
  readonly limits: { readonly vocabularySize: number; readonly context: number } | undefined;
  /** Whether targets and weights are read. */
  readonly needsTargets: boolean;
}

/**
 * Checks a batch; gives the first row of each sequence and the position of each row in the model, and the sum of the weights.
 * @throws ArgumentError that names the place.
 */
export function checkBatch(
  batch: TrainingBatch,
  { rows, sequences, limits, needsTargets }: BatchChecks,
): { readonly starts: Int32Array; readonly positions: Int32Array; readonly total: number } {
  const { inputs } = batch;
  if (inputs.length === 0) throw new ArgumentError('the batch is empty: inputs has no rows');
  for (const [name, list] of Object.entries({
    targets: batch.targets,
    weights: batch.weights,
    positions: batch.positions,
  })) {
    if (list !== undefined && list.length !== inputs.length) {
      throw new ArgumentError(
        `batch.${name} has ${counted(list.length, 'number')}; inputs has ${counted(inputs.length, 'row')}`,
      );
    }
  }
  const vocabularySize = limits?.vocabularySize ?? 256;
  for (let row = 0; row < inputs.length; row++) checkId('inputs', row, inputs[row] as number, vocabularySize);
  const total = needsTargets ? checkTargets(batch, vocabularySize) : 0;
  checkStarts(batch.starts, inputs.length);
  if (limits === undefined) {
    const each = rows / sequences;
    const starts = Int32Array.from({ length: sequences }, (_, i) => i * each);
    return { starts, positions: positionsFrom(starts, rows), total };
  }
  const positions = batch.positions ?? positionsFrom(batch.starts, rows);
  const { context } = limits;
  for (const [row, position] of positions.entries()) {
    if (!(position >= 0 && position < context)) {
      throw new ArgumentError(
        `row ${row} of the batch has position ${position}; the model has positions 0 to ${context - 1}, so a sequence may have ${context} tokens: cut it, or make the model with a larger context`,
      );
    }
  }
  return { starts: batch.starts, positions, total };
}

function checkId(name: string, row: number, id: number, vocabularySize: number): void {
  if (id >= 0 && id < vocabularySize) return;
  throw new ArgumentError(
    `batch.${name}[${row}] is ${id}; token ids of this model are integers from 0 to ${vocabularySize - 1}`,
  );
}

/** Gives the sum of the weights. */
function checkTargets({ targets, weights }: TrainingBatch, vocabularySize: number): number {
  let total = 0;
  for (const [row, weight] of weights.entries()) {
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new ArgumentError(`batch.weights[${row}] is ${weight}; it must be a finite number of at least 0`);
    }
    if (weight !== 0) checkId('targets', row, targets[row] as number, vocabularySize);
    total += weight;
  }
  if (total === 0) throw new ArgumentError('batch.weights are all 0; at least one row must count');
  return total;
}

function checkStarts(starts: Int32Array, rows: number): void {
  if (starts[0] !== 0) throw new ArgumentError(`batch.starts must begin with 0, it begins with ${starts[0]}`);
  for (const [i, start] of starts.entries()) {
    const end = starts[i + 1] ?? rows;
    if (start >= end) {
      throw new ArgumentError(
        `batch.starts[${i}] is ${start}; it must be less than ${end}, the next start or the number of rows`,
      );
    }
  }
}

/** 0, 1, 2, ... from each start on. */
function positionsFrom(starts: Int32Array, rows: number): Int32Array {
  const positions = new Int32Array(rows);
  for (const [i, start] of starts.entries()) {
    const end = starts[i + 1] ?? rows;
    for (let row = start; row < end; row++) positions[row] = row - start;
  }
  return positions;
}

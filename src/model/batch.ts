import { ArgumentError } from '../errors.ts';
import type { TrainingBatch } from './trainable.ts';

/** What a model allows. */
export interface BatchLimits {
  readonly vocabularySize: number;
  readonly context: number;
}

/**
 * Checks a batch; gives the position of each row and the sum of the weights.
 * @throws ArgumentError that names the place.
 */
export function checkBatch(
  batch: TrainingBatch,
  { vocabularySize, context }: BatchLimits,
): { readonly positions: Int32Array; readonly total: number } {
  const { inputs, targets, weights, starts } = batch;
  const rows = inputs.length;
  if (rows === 0) throw new ArgumentError('the batch is empty: inputs has no rows');
  for (const [name, list] of Object.entries({ targets, weights, positions: batch.positions })) {
    if (list !== undefined && list.length !== rows) {
      throw new ArgumentError(`batch.${name} has ${list.length} numbers; inputs has ${rows} rows`);
    }
  }
  const checkId = (name: string, row: number, id: number): void => {
    if (!(id >= 0 && id < vocabularySize)) {
      throw new ArgumentError(
        `batch.${name}[${row}] is ${id}; token ids of this model are integers from 0 to ${vocabularySize - 1}`,
      );
    }
  };
  let total = 0;
  for (let row = 0; row < rows; row++) {
    checkId('inputs', row, inputs[row] as number);
    const weight = weights[row] as number;
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new ArgumentError(`batch.weights[${row}] is ${weight}; it must be a finite number of at least 0`);
    }
    if (weight !== 0) checkId('targets', row, targets[row] as number);
    total += weight;
  }
  if (total === 0) throw new ArgumentError('batch.weights are all 0; at least one row must count');
  checkStarts(starts, rows);
  const positions = batch.positions ?? positionsFrom(starts, rows);
  for (const [row, position] of positions.entries()) {
    if (!(position >= 0 && position < context)) {
      throw new ArgumentError(
        `row ${row} of the batch has position ${position}; the model has positions 0 to ${context - 1}, so a sequence may have ${context} tokens`,
      );
    }
  }
  return { positions, total };
}

function checkStarts(starts: Int32Array, rows: number): void {
  if (starts[0] !== 0) throw new ArgumentError(`batch.starts must begin with 0, it begins with ${starts[0]}`);
  for (const [i, start] of starts.entries()) {
    const end = starts[i + 1] ?? rows;
    if (start >= end)
      throw new ArgumentError(
        `batch.starts[${i}] is ${start}; it must be less than ${end}, the next start or the number of rows`,
      );
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

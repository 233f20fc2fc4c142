/** Batches for sequence and image classification. */
import { counted } from '../../counted.ts';
import { ArgumentError, DataError } from '../../errors.ts';
import type { TrainingBatch } from '../trainable.ts';
import { permutation } from './permutation.ts';
import { checkSeed } from './random.ts';
import type { LabelledSequence, SequenceSet } from './sequence-set.ts';
import { type BatchSource, type Identity, type Place, readState, saveState } from './source.ts';
import { checkPositive } from './text-batches.ts';

export interface ClassificationOptions {
  /** In a batch; the last one of an epoch may have fewer. Default 32. */
  readonly sequences?: number;
  /** Longer sequences are cut to their first tokens; default not at all. The classification token is not counted. */
  readonly maximumLength?: number;
  /** Puts the set's classification token before each sequence; default where the set has one. */
  readonly classificationToken?: boolean;
  /** Default 0. */
  readonly seed?: number;
  /** Default true: another order for each epoch. */
  readonly shuffle?: boolean;
  /** Default: without end. */
  readonly epochs?: number;
  /** Sequences to validate with. */
  readonly heldOut?: SequenceSet;
  /** Default: the whole held-out set. */
  readonly validationBatches?: number;
}

/**
 * Each epoch has every sequence exactly once. `labels` has one class for each sequence; `targets` and `weights`, which are for
 * predicting tokens, are 0.
 *
 * @throws ArgumentError
 */
export function classificationBatches(set: SequenceSet, options: ClassificationOptions = {}): BatchSource {
  const { sequences = 32, seed = 0, shuffle = true, epochs = Infinity, heldOut, validationBatches } = options;
  const { maximumLength = set.maximumLength, classificationToken = set.classificationToken !== undefined } = options;
  checkPositive('sequences', sequences);
  checkPositive('maximumLength', maximumLength);
  checkSeed(seed);
  if (epochs !== Infinity) checkPositive('epochs', epochs);
  if (validationBatches !== undefined) checkPositive('validationBatches', validationBatches);
  if (classificationToken && set.classificationToken === undefined) {
    throw new ArgumentError('classificationToken is true, and the set has no such token');
  }
  if (heldOut !== undefined && (heldOut.classes !== set.classes || heldOut.vocabularySize !== set.vocabularySize)) {
    throw new ArgumentError(
      `the held-out set has ${counted(heldOut.classes, 'class', 'classes')} and ${counted(heldOut.vocabularySize, 'token')}; the training set ${set.classes} and ${set.vocabularySize}`,
    );
  }
  const first = classificationToken ? set.classificationToken : undefined;
  const identity: Identity = {
    source: 'classification',
    data: set.fingerprint,
    sequences,
    maximumLength,
    classificationToken: first ?? 'none',
    seed,
    shuffle: shuffle ? 'each epoch' : 'no',
  };
  let place: Place = { epoch: 0, next: 0 };
  let order: { readonly epoch: number; readonly at: (index: number) => number } | undefined;
  const orderOf = (epoch: number): ((index: number) => number) => {
    if (order?.epoch !== epoch) order = { epoch, at: shuffle ? permutation(set.size, seed, epoch) : (index) => index };
    return order.at;
  };

  async function next(): Promise<TrainingBatch | undefined> {
    if (place.epoch >= epochs) return undefined;
    const { epoch, next: from } = place;
    const to = Math.min(from + sequences, set.size);
    const batch = await readSequences(set, orderOf(epoch), from, to, first, maximumLength);
    place = to < set.size ? { epoch, next: to } : { epoch: epoch + 1, next: 0 };
    return batch;
  }

  async function* validationOf(held: SequenceSet): AsyncGenerator<TrainingBatch> {
    const most = Math.min(held.size, (validationBatches ?? Infinity) * sequences);
    for (let from = 0; from < most; from += sequences) {
      const to = Math.min(from + sequences, most);
      yield await readSequences(held, (index) => index, from, to, first, maximumLength);
    }
  }

  return {
    next,
    state: () => saveState(identity, place),
    restore: (state) => {
      place = readState(state, identity);
    },
    ...(heldOut === undefined ? {} : { validation: () => validationOf(heldOut) }),
  };
}

/** Sequences `from` to `to` of an order, packed, each after the token `first` where it is given. */
async function readSequences(
  set: SequenceSet,
  order: (index: number) => number,
  from: number,
  to: number,
  first: number | undefined,
  maximumLength: number,
): Promise<TrainingBatch> {
  const chosen: LabelledSequence[] = [];
  for (let at = from; at < to; at++) chosen.push(await readChecked(set, order(at), maximumLength));
  const extra = first === undefined ? 0 : 1;
  const total = chosen.reduce((rows, { tokens }) => rows + tokens.length + extra, 0);
  const inputs = new Int32Array(total);
  const starts = new Int32Array(chosen.length);
  let at = 0;
  for (const [i, { tokens }] of chosen.entries()) {
    starts[i] = at;
    if (first !== undefined) inputs[at++] = first;
    inputs.set(tokens, at);
    at += tokens.length;
  }
  const labels = Int32Array.from(chosen, ({ label }) => label);
  return { inputs, targets: new Int32Array(total), weights: new Float32Array(total), starts, labels };
}

async function readChecked(set: SequenceSet, index: number, maximumLength: number): Promise<LabelledSequence> {
  const { tokens, label } = await set.at(index);
  if (tokens.length === 0) throw new DataError(`sequence ${index} is empty; it needs at least one token`);
  if (!Number.isInteger(label) || label < 0 || label >= set.classes) {
    throw new DataError(`sequence ${index} has label ${label}; it must be from 0 to ${set.classes - 1}`);
  }
  return { tokens: tokens.subarray(0, maximumLength), label };
}

/** Batches for language models from documents of tokens. */
import { ArgumentError } from '../../errors.ts';
import type { TrainingBatch } from '../trainable.ts';
import { bertMasking, checkMasking, type Masking, masker } from './masking.ts';
import { documentSequences, streamSequences } from './packing.ts';
import { permutation } from './permutation.ts';
import { checkSeed } from './random.ts';
import { type RowSource, readBatch } from './rows.ts';
import { type BatchSource, type Identity, type Place, readState, saveState } from './source.ts';
import { type Parts, type SplitOptions, splitSet } from './split.ts';
import type { TokenSet } from './token-set.ts';

export interface TextBatchOptions {
  /** Rows of a sequence at most. */
  readonly context: number;
  /** Rows of a batch at most; default one context. A batch takes sequences as long as the next one fits. */
  readonly rows?: number;
  /**
   * 'documents', the default: a sequence has one document, a longer document is several sequences. 'stream': all documents one after the
   * other are cut every `context` rows; attention crosses documents, and all sequences but the last are full.
   */
  readonly packing?: 'documents' | 'stream';
  /**
   * 'causal', the default: each row predicts the next token, every token and every document's end exactly once. 'masked': BERT's masked
   * language modelling, or the same with other shares.
   */
  readonly objective?: 'causal' | 'masked' | Masking;
  /** Positions that restart with each sequence, the default, or count from the start of the document (of its held-out range). */
  readonly positions?: 'sequence' | 'document';
  /** Default 0. */
  readonly seed?: number;
  /** Another order for each epoch, the default, or the order of the documents. */
  readonly shuffle?: boolean;
  /** Default: without end. */
  readonly epochs?: number;
  readonly split?: SplitOptions;
  /** Validates with this many batches at most, of sequences chosen by the split's seed; default the whole held-out part. */
  readonly validationBatches?: number;
}

/**
 * Each epoch has every sequence exactly once, in an order of its own; a batch never has sequences of two epochs. Batches without a
 * weight, which masking may leave of a few rows, are not given.
 *
 * @throws ArgumentError, DataError
 */
export function textBatches(set: TokenSet, options: TextBatchOptions): BatchSource {
  const settings = checkOptions(set, options);
  const { context, rows, packing, positions, seed, shuffle, epochs, split, masking } = settings;
  const { training, heldOut } = splitSet(set, split);
  const source = (parts: Parts): RowSource => ({
    set,
    parts,
    sequences: packing === 'stream' ? streamSequences(parts, context) : documentSequences(parts, context),
    positions,
    ...(masking === undefined ? {} : { mask: masker(masking, maskVocabulary(set), seed) }),
  });
  const trained = source(training);
  const identity: Identity = {
    source: 'text',
    data: set.fingerprint,
    context,
    rows,
    packing,
    objective: masking === undefined ? 'causal' : `masked ${masking.rate} ${masking.masked} ${masking.random}`,
    positions,
    seed,
    shuffle: shuffle ? 'each epoch' : 'no',
    split: `${split.heldOut ?? 0} by ${split.by ?? 'document'}, seed ${split.seed ?? 0}`,
  };
  let place: Place = { epoch: 0, next: 0 };
  let order: { readonly epoch: number; readonly at: (index: number) => number } | undefined;
  const orderOf = (epoch: number): ((index: number) => number) => {
    if (order?.epoch !== epoch) {
      order = { epoch, at: shuffle ? permutation(trained.sequences.count, seed, epoch) : (index) => index };
    }
    return order.at;
  };

  async function next(): Promise<TrainingBatch | undefined> {
    while (place.epoch < epochs) {
      const chosen = takeSequences(trained, rows, orderOf(place.epoch), place.next);
      const batch = await readBatch(trained, place.epoch, chosen);
      const reached = place.next + chosen.length;
      place =
        reached < trained.sequences.count ? { epoch: place.epoch, next: reached } : { epoch: place.epoch + 1, next: 0 };
      if (hasWeight(batch)) return batch;
    }
    return undefined;
  }

  const heldOutSource = source(heldOut);
  async function* validation(): AsyncGenerator<TrainingBatch> {
    const { count } = heldOutSource.sequences;
    const limit = options.validationBatches ?? Infinity;
    const order = limit === Infinity ? (index: number) => index : permutation(count, split.seed ?? 0, 1);
    let given = 0;
    for (let at = 0; at < count && given < limit; ) {
      const chosen = takeSequences(heldOutSource, rows, order, at);
      at += chosen.length;
      const batch = await readBatch(heldOutSource, 0, chosen);
      if (!hasWeight(batch)) continue;
      given++;
      yield batch;
    }
  }

  return {
    next,
    state: () => saveState(identity, place),
    restore: (state) => {
      place = readState(state, identity);
    },
    ...(heldOut.count === 0 ? {} : { validation }),
  };
}

/** Sequences from place `from` of an order, as many as fit into `rows`. */
function takeSequences(
  { sequences }: RowSource,
  rows: number,
  order: (index: number) => number,
  from: number,
): number[] {
  const chosen: number[] = [];
  let taken = 0;
  for (let at = from; at < sequences.count; at++) {
    const sequence = order(at);
    taken += sequences.rows(sequence);
    if (taken > rows) break;
    chosen.push(sequence);
  }
  return chosen;
}

function hasWeight({ weights }: TrainingBatch): boolean {
  return weights.some((weight) => weight > 0);
}

function maskVocabulary({ maskToken, documentEnd, plainTokens }: TokenSet): Parameters<typeof masker>[1] {
  if (maskToken === undefined) {
    throw new ArgumentError('masked language modelling needs a mask token, and this data set has none; give maskToken');
  }
  return { maskToken, documentEnd, plainTokens };
}

interface Settings extends Required<Omit<TextBatchOptions, 'objective' | 'validationBatches'>> {
  readonly masking: Masking | undefined;
}

function checkOptions(set: TokenSet, options: TextBatchOptions): Settings {
  const { context, rows = context, objective = 'causal', seed = 0, epochs = Infinity, validationBatches } = options;
  checkPositive('context', context);
  checkPositive('rows', rows);
  if (rows < context) {
    throw new ArgumentError(
      `rows is ${rows}, context ${context}; a batch must have room for a sequence of full context`,
    );
  }
  checkSeed(seed);
  if (epochs !== Infinity) checkPositive('epochs', epochs);
  if (validationBatches !== undefined) checkPositive('validationBatches', validationBatches);
  const masking = objective === 'causal' ? undefined : objective === 'masked' ? bertMasking : objective;
  if (masking !== undefined) {
    checkMasking(masking);
    maskVocabulary(set);
  }
  const { packing = 'documents', positions = 'sequence', shuffle = true, split = {} } = options;
  return { context, rows, packing, positions, seed, shuffle, epochs, split, masking };
}

/** @throws ArgumentError unless the value is an integer from 1. */
export function checkPositive(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ArgumentError(`${name} is ${value}; it must be a positive integer`);
  }
}

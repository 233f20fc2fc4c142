/** Sequences with a class each: what classification batches are made of. */
import { counted } from '../../counted.ts';
import { ArgumentError, DataError } from '../../errors.ts';
import { Fingerprint, hex } from './fingerprint.ts';
import { littleEndian } from './little-endian.ts';
import { permutation } from './permutation.ts';

export interface LabelledSequence {
  readonly tokens: Int32Array;
  /** From 0 to below the number of classes. */
  readonly label: number;
}

export interface SequenceSet {
  /** Number of sequences. */
  readonly size: number;
  readonly classes: number;
  /** One more than the largest id, the classification token included. */
  readonly vocabularySize: number;
  /** A token that may stand before each sequence, for its output to be classified; without it outputs are averaged. */
  readonly classificationToken?: number;
  /** No sequence is longer; the classification token is not counted. */
  readonly maximumLength: number;
  /** Changes with the sequences. */
  readonly fingerprint: string;
  /** Sequence `index`: the same one on every call. */
  at(index: number): LabelledSequence | Promise<LabelledSequence>;
}

export interface SequenceArrays {
  readonly tokens: readonly ArrayLike<number>[];
  readonly labels: ArrayLike<number>;
  /** Default: one more than the largest label. */
  readonly classes?: number;
  /** Default: one more than the largest token. A classification token comes on top. */
  readonly vocabularySize?: number;
}

/** Sequences that are in memory. The classification token is the first id after the vocabulary. @throws DataError, ArgumentError */
export function sequenceSet({ tokens, labels, classes, vocabularySize }: SequenceArrays): SequenceSet {
  if (tokens.length !== labels.length) {
    throw new ArgumentError(
      `got ${counted(tokens.length, 'sequence')} and ${counted(labels.length, 'label')}; each sequence has one`,
    );
  }
  if (tokens.length === 0) throw new DataError('the data set is empty: there is no sequence');
  const sequences = tokens.map((sequence, i) => checkIds(Int32Array.from(sequence), `sequence ${i}`, vocabularySize));
  const ownLabels = checkIds(Int32Array.from(labels), 'labels', classes);
  const plain = vocabularySize ?? sequences.reduce((most, ids) => Math.max(most, largest(ids)), 0) + 1;
  const content = new Fingerprint();
  for (const ids of [...sequences, ownLabels]) {
    content.update(littleEndian(Int32Array.of(ids.length)));
    content.update(littleEndian(ids));
  }
  return {
    size: sequences.length,
    classes: classes ?? largest(ownLabels) + 1,
    vocabularySize: plain + 1,
    classificationToken: plain,
    maximumLength: sequences.reduce((most, ids) => Math.max(most, ids.length), 0),
    fingerprint: `arrays ${sequences.length} ${hex(content.digest())}`,
    at: (index) => ({ tokens: sequences[index], label: ownLabels[index] }),
  };
}

export interface ImageArrays {
  /** [count, height, width, channels], one after the other. */
  readonly pixels: Uint8Array;
  readonly labels: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
  /** Default 1. */
  readonly channels?: number;
  readonly classes?: number;
}

/**
 * Images as sequences of pixels, line by line, each value a token from 0 to 255 (Chen et al. 2020, "Generative Pretraining from Pixels";
 * Long Range Arena, Tay et al. 2021, section 2.2.4, with one channel). The classification token is 256.
 */
export function imageSet({ pixels, labels, height, width, channels = 1, classes }: ImageArrays): SequenceSet {
  const size = height * width * channels;
  if (!(size >= 1) || pixels.length !== labels.length * size) {
    throw new ArgumentError(
      `got ${counted(pixels.length, 'pixel value')} and ${counted(labels.length, 'label')}; ${height} x ${width} x ${channels} values for each are needed`,
    );
  }
  const tokens = Array.from({ length: labels.length }, (_, i) => pixels.subarray(i * size, (i + 1) * size));
  return sequenceSet({ tokens, labels, vocabularySize: 256, ...(classes === undefined ? {} : { classes }) });
}

/** Parts of a set that have no sequence in common: the share that is held out is chosen by the seed, at least one sequence. */
export function splitSequences(
  set: SequenceSet,
  heldOut: number,
  seed = 0,
): { readonly training: SequenceSet; readonly heldOut: SequenceSet } {
  const count = Math.max(1, Math.round(heldOut * set.size));
  if (!(heldOut > 0 && heldOut < 1) || count >= set.size) {
    throw new ArgumentError(
      `of ${counted(set.size, 'sequence')} a share of ${heldOut} cannot be held out; both parts need one`,
    );
  }
  const order = permutation(set.size, seed);
  const part = (from: number, size: number): SequenceSet => ({
    ...set,
    size,
    fingerprint: `${set.fingerprint}, ${size} from ${from} of permutation ${seed}`,
    at: (index) => set.at(order(from + index)),
  });
  return { training: part(count, set.size - count), heldOut: part(0, count) };
}

function checkIds(ids: Int32Array, name: string, below: number | undefined): Int32Array {
  if (ids.length === 0) throw new DataError(`${name}: is empty; a sequence needs at least one token`);
  const bad = ids.findIndex((id) => id < 0 || (below !== undefined && id >= below));
  if (bad < 0) return ids;
  throw new DataError(
    `${name}: value ${ids[bad]} at ${bad}; it must be from 0${below === undefined ? '' : ` to ${below - 1}`}`,
  );
}

function largest(ids: Int32Array): number {
  return ids.reduce((most, id) => Math.max(most, id), 0);
}

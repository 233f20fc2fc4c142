/** Labelled sequences that are made when they are asked for. */
import { ArgumentError, FarfieldError } from '../../errors.ts';
import { Fingerprint } from '../data/fingerprint.ts';
import { littleEndian } from '../data/little-endian.ts';
import { checkSeed, type RandomStream, randomStream } from '../data/random.ts';
import type { LabelledSequence, SequenceSet } from '../data/sequence-set.ts';

/** What a task draws at random. */
export interface Generator {
  /** With all parameters: sets of different names have different sequences. */
  readonly name: string;
  readonly classes: number;
  readonly vocabularySize: number;
  readonly classificationToken: number;
  readonly maximumLength: number;
  /** A sequence, or undefined where the draw must be thrown away. */
  generate(random: RandomStream): LabelledSequence | undefined;
}

export interface GeneratedOptions {
  /** Number of sequences. */
  readonly size: number;
  readonly seed: number;
  /** The two parts have no sequence in common, whatever their sizes and seeds: see generatedSet(). */
  readonly part: 'training' | 'held-out';
}

/** More draws than this in vain mean that the parameters leave nothing to draw. */
const MOST_DRAWS = 100_000;

/**
 * Sequence `index` is a function of (seed, index), so a set takes no memory and can be read in any order. A sequence whose fingerprint is
 * even may train and an odd one is held out; a draw of the wrong kind is thrown away and drawn again.
 */
export function generatedSet(generator: Generator, { size, seed, part }: GeneratedOptions): SequenceSet {
  if (!Number.isSafeInteger(size) || size < 1)
    throw new ArgumentError(`size is ${size}; it must be a positive integer`);
  checkSeed(seed);
  const { name, classes, vocabularySize, classificationToken, maximumLength } = generator;
  const parity = part === 'training' ? 0 : 1;
  return {
    size,
    classes,
    vocabularySize,
    classificationToken,
    maximumLength,
    fingerprint: `generated: ${name}, ${part}, ${size} of seed ${seed}`,
    at: (index) => {
      for (let draw = 0; draw < MOST_DRAWS; draw++) {
        const sequence = generator.generate(randomStream(seed, parity, index, draw));
        if (sequence !== undefined && fingerprintOf(sequence.tokens) % 2 === parity) return sequence;
      }
      throw new FarfieldError(`${name}: no sequence in ${MOST_DRAWS} draws; are the limits of its length too narrow?`);
    },
  };
}

function fingerprintOf(tokens: Int32Array): number {
  const fingerprint = new Fingerprint();
  fingerprint.update(littleEndian(tokens));
  return fingerprint.digest();
}

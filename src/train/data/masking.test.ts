import { describe, expect, it } from 'vitest';
import { byteVocabulary } from '../../text/byte-vocabulary.ts';
import type { TrainingBatch } from '../trainable.ts';
import { openByteSet } from './byte-set.ts';
import { memoryFiles } from './files.ts';
import { bertMasking, masker } from './masking.ts';
import { type TextBatchOptions, textBatches } from './text-batches.ts';

const vocabulary = { maskToken: 257, documentEnd: 256, plainTokens: 256 };

/** Four standard deviations of a binomial number. */
function spread(trials: number, chance: number): number {
  return 4 * Math.sqrt(trials * chance * (1 - chance));
}

describe('masker', () => {
  it('chooses 15% of the tokens: 80% masked, 10% random, 10% as they are', () => {
    const mask = masker(bertMasking, vocabulary, 3);
    const tokens = 200_000;
    const token = 65;
    let [chosen, masked, kept] = [0, 0, 0];
    const random = new Array<number>(256).fill(0);
    for (let position = 0; position < tokens; position++) {
      const read = mask(0, 7, position, token);
      if (read === undefined) continue;
      chosen++;
      if (read === vocabulary.maskToken) masked++;
      else if (read === token) kept++;
      else random[read]++;
    }
    expect(Math.abs(chosen - 0.15 * tokens)).toBeLessThan(spread(tokens, 0.15));
    expect(Math.abs(masked - 0.8 * chosen)).toBeLessThan(spread(chosen, 0.8));
    // A random token is the token itself once in 256 draws.
    const keptShare = 0.1 + 0.1 / 256;
    expect(Math.abs(kept - keptShare * chosen)).toBeLessThan(spread(chosen, keptShare));
    expect(Math.max(...random)).toBeLessThan(((0.1 * chosen) / 256) * 3);
    expect(random.filter((times) => times > 0).length).toBeGreaterThan(250);
  });

  it('never draws a special token as the random one', () => {
    const mask = masker({ rate: 1, masked: 0, random: 1 }, { maskToken: 1, documentEnd: 3, plainTokens: 5 }, 0);
    const drawn = new Set(Array.from({ length: 1000 }, (_, position) => mask(0, 0, position, 0)));
    expect([...drawn].sort()).toEqual([0, 2, 4]);
  });

  it('chooses anew for every epoch, document, position and seed, without a pattern between neighbours', () => {
    const chosen = (seed: number, epoch: number, document: number): boolean[] =>
      Array.from(
        { length: 20_000 },
        (_, position) => masker(bertMasking, vocabulary, seed)(epoch, document, position, 0) !== undefined,
      );
    const first = chosen(1, 0, 0);
    for (const other of [chosen(2, 0, 0), chosen(1, 1, 0), chosen(1, 0, 1), [...first.slice(1), false]]) {
      const both = first.filter((isChosen, i) => isChosen && other[i]).length;
      expect(Math.abs(both - 20_000 * 0.15 ** 2)).toBeLessThan(spread(20_000, 0.15 ** 2));
    }
  });
});

describe('masked batches', () => {
  /** What is read at every place of the one document, whatever the packing; undefined where the token is not scored. */
  async function readAt(options: Partial<TextBatchOptions>): Promise<(number | undefined)[]> {
    const bytes = Uint8Array.from({ length: 3000 }, (_, i) => (i * 7) % 251);
    const set = await openByteSet(memoryFiles({ document: bytes }));
    const source = textBatches(set, {
      context: 100,
      objective: 'masked',
      positions: 'document',
      epochs: 1,
      seed: 11,
      ...options,
    });
    const read: (number | undefined)[] = new Array(3001);
    const take = ({ inputs, targets, weights, positions }: TrainingBatch): void => {
      for (const [row, position] of (positions ?? []).entries()) {
        expect(targets[row]).toBe(position < 3000 ? bytes[position] : byteVocabulary.documentEnd);
        if (weights[row] === 0) expect(inputs[row]).toBe(targets[row]);
        read[position] = weights[row] === 0 ? undefined : inputs[row];
      }
    };
    for (let batch = await source.next(); batch !== undefined; batch = await source.next()) take(batch);
    return read;
  }

  it('do not depend on packing, context, batch size or order', async () => {
    const reference = await readAt({});
    expect(reference.filter((token) => token !== undefined).length).toBeGreaterThan(300);
    for (const options of [
      { context: 37 },
      { context: 3001, packing: 'stream' },
      { rows: 1000 },
      { shuffle: false },
    ] as const) {
      expect(await readAt(options)).toEqual(reference);
    }
    expect(await readAt({ seed: 12 })).not.toEqual(reference);
  });

  it('never score the end of a document, and never come without anything to score', async () => {
    const set = await openByteSet(
      memoryFiles(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`d${i}`, 'x']))),
    );
    const source = textBatches(set, { context: 2, objective: 'masked', epochs: 4 });
    let batches = 0;
    for (let batch = await source.next(); batch !== undefined; batch = await source.next()) {
      batches++;
      expect([...batch.weights]).toEqual([1, 0]);
    }
    expect(Math.abs(batches - 200 * 0.15)).toBeLessThan(spread(200, 0.15));
  });
});

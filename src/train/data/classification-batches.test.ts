import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError, DataError } from '../../errors.ts';
import type { TrainingBatch } from '../trainable.ts';
import { type ClassificationOptions, classificationBatches } from './classification-batches.ts';
import { imageSet, type SequenceSet, sequenceSet, splitSequences } from './sequence-set.ts';
import type { BatchSource } from './source.ts';

async function allOf(source: BatchSource): Promise<TrainingBatch[]> {
  const batches: TrainingBatch[] = [];
  for (let batch = await source.next(); batch !== undefined; batch = await source.next()) batches.push(batch);
  return batches;
}

/** Every sequence with its label, as text, sorted. */
function pairsOf(batches: readonly TrainingBatch[]): string[] {
  return batches
    .flatMap(({ inputs, starts, labels }) =>
      Array.from(starts, (start, i) => `${inputs.slice(start, starts[i + 1] ?? inputs.length).join()}: ${labels?.[i]}`),
    )
    .sort();
}

const sequences = fc.array(
  fc.record({ tokens: fc.array(fc.nat(9), { minLength: 1, maxLength: 12 }), label: fc.nat(3) }),
  { minLength: 1, maxLength: 30 },
);

function setOf(list: readonly { tokens: number[]; label: number }[]): SequenceSet {
  return sequenceSet({
    tokens: list.map(({ tokens }) => tokens),
    labels: list.map(({ label }) => label),
    classes: 4,
    vocabularySize: 10,
  });
}

describe('classificationBatches', () => {
  it('gives every sequence with its label exactly once in each epoch, and goes on to the bit from every place', async () => {
    const options = fc.record({
      sequences: fc.integer({ min: 1, max: 7 }),
      classificationToken: fc.boolean(),
      shuffle: fc.boolean(),
      maximumLength: fc.integer({ min: 1, max: 15 }),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(sequences, options, async (list, chosen) => {
        const set = setOf(list);
        const make = (): BatchSource => classificationBatches(set, { ...chosen, epochs: 2 });
        const source = make();
        const states = [source.state()];
        const batches: TrainingBatch[] = [];
        for (let batch = await source.next(); batch !== undefined; batch = await source.next()) {
          batches.push(batch);
          states.push(source.state());
        }
        const first = chosen.classificationToken ? [10] : [];
        const expected = list
          .map(({ tokens, label }) => `${[...first, ...tokens.slice(0, chosen.maximumLength)].join()}: ${label}`)
          .sort();
        const half = Math.ceil(list.length / chosen.sequences);
        expect(pairsOf(batches.slice(0, half))).toEqual(expected);
        expect(pairsOf(batches.slice(half))).toEqual(expected);
        for (const { inputs, targets, weights } of batches) {
          expect([targets.length, weights.length]).toEqual([inputs.length, inputs.length]);
        }
        for (const [i, state] of states.entries()) {
          const resumed = make();
          resumed.restore(JSON.parse(JSON.stringify(state)));
          expect(await allOf(resumed)).toEqual(batches.slice(i));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('validates with the held-out set, in its order', async () => {
    const list = Array.from({ length: 10 }, (_, i) => ({ tokens: [i], label: i % 4 }));
    const { training, heldOut } = splitSequences(setOf(list), 0.3, 5);
    const source = classificationBatches(training, { sequences: 2, heldOut, epochs: 1 });
    const validation: TrainingBatch[] = [];
    for await (const batch of source.validation?.() ?? []) validation.push(batch);
    expect(validation.map(({ labels }) => labels?.length)).toEqual([2, 1]);
    const both = [...pairsOf(await allOf(source)), ...pairsOf(validation)].sort();
    expect(both).toEqual(list.map(({ tokens, label }) => `10,${tokens[0]}: ${label}`).sort());
    const short: TrainingBatch[] = [];
    const limited = classificationBatches(training, { sequences: 2, heldOut, validationBatches: 1 });
    for await (const batch of limited.validation?.() ?? []) short.push(batch);
    expect(short).toEqual(validation.slice(0, 1));
    expect(classificationBatches(training).validation).toBeUndefined();
  });

  it('refuses to go on with other sequences or settings', async () => {
    const list = [
      { tokens: [1, 2], label: 0 },
      { tokens: [3], label: 1 },
    ];
    const state = classificationBatches(setOf(list)).state();
    const changed = setOf([{ tokens: [1, 3], label: 0 }, list[1]]);
    expect(() => classificationBatches(changed).restore(state)).toThrow(/data is not what it was/);
    // The same tokens, cut elsewhere.
    const cut = setOf([
      { tokens: [1], label: 0 },
      { tokens: [2, 3], label: 1 },
    ]);
    expect(() => classificationBatches(cut).restore(state)).toThrow(DataError);
    expect(() => classificationBatches(setOf(list), { sequences: 5 }).restore(state)).toThrow(/"sequences" was 32/);
  });

  it.each<[ClassificationOptions]>([
    [{ sequences: 0 }],
    [{ maximumLength: 0 }],
    [{ seed: -1 }],
    [{ epochs: 1.5 }],
    [{ validationBatches: -1 }],
    [{ heldOut: sequenceSet({ tokens: [[1]], labels: [0] }) }],
  ])('refuses %j', (options) => {
    const set = setOf([{ tokens: [1], label: 0 }]);
    expect(() => classificationBatches(set, options)).toThrow(ArgumentError);
  });

  it('refuses a sequence without tokens and a label that is no class, when they come', async () => {
    const set = setOf([{ tokens: [1], label: 0 }]);
    const empty = { ...set, at: () => ({ tokens: new Int32Array(0), label: 0 }) };
    await expect(classificationBatches(empty).next()).rejects.toThrow(/is empty/);
    const other = { ...set, at: () => ({ tokens: Int32Array.of(1), label: 4 }) };
    await expect(classificationBatches(other).next()).rejects.toThrow(/label 4/);
    const { classificationToken: _, ...without } = set;
    expect(() => classificationBatches(without, { classificationToken: true })).toThrow(ArgumentError);
  });
});

describe('sequence sets', () => {
  it('of images have a token for each value, line by line, and 256 to classify', async () => {
    const pixels = Uint8Array.from({ length: 2 * 2 * 3 * 2 }, (_, i) => i * 10);
    const set = imageSet({ pixels, labels: [1, 0], height: 2, width: 3, channels: 2 });
    expect([set.size, set.classes, set.vocabularySize, set.classificationToken, set.maximumLength]).toEqual([
      2, 2, 257, 256, 12,
    ]);
    expect(await set.at(1)).toEqual({ tokens: Int32Array.from(pixels.slice(12)), label: 0 });
    expect(() => imageSet({ pixels, labels: [1, 0], height: 2, width: 4 })).toThrow(ArgumentError);
  });

  it('refuse what does not fit together', () => {
    expect(() => sequenceSet({ tokens: [[1], [2]], labels: [0] })).toThrow(ArgumentError);
    expect(() => sequenceSet({ tokens: [], labels: [] })).toThrow(DataError);
    expect(() => sequenceSet({ tokens: [[]], labels: [0] })).toThrow(/sequence 0: is empty/);
    expect(() => sequenceSet({ tokens: [[1, 5]], labels: [0], vocabularySize: 5 })).toThrow(/value 5 at 1/);
    expect(() => sequenceSet({ tokens: [[1]], labels: [-1] })).toThrow(DataError);
    const set = setOf([{ tokens: [1], label: 0 }]);
    for (const share of [0, 0.5, 1]) expect(() => splitSequences(set, share)).toThrow(ArgumentError);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArgumentError, DataError } from '../../errors.ts';
import { byteVocabulary } from '../../text/byte-vocabulary.ts';
import type { TrainingBatch } from '../trainable.ts';
import { openByteSet } from './byte-set.ts';
import { memoryFiles } from './files.ts';
import type { BatchSource } from './source.ts';
import { type TextBatchOptions, textBatches } from './text-batches.ts';
import type { TokenSet } from './token-set.ts';

const END = byteVocabulary.documentEnd;

async function setOf(documents: readonly (string | Uint8Array)[]): Promise<TokenSet> {
  return openByteSet(memoryFiles(Object.fromEntries(documents.map((content, i) => [`d${i}`, content]))));
}

async function allOf(source: BatchSource): Promise<TrainingBatch[]> {
  const batches: TrainingBatch[] = [];
  for (let batch = await source.next(); batch !== undefined; batch = await source.next()) batches.push(batch);
  return batches;
}

async function held(source: BatchSource): Promise<TrainingBatch[]> {
  const batches: TrainingBatch[] = [];
  for await (const batch of source.validation?.() ?? []) batches.push(batch);
  return batches;
}

/** Each sequence as a text of its inputs and targets, sorted. */
function sequencesOf(batches: readonly TrainingBatch[]): string[] {
  return batches
    .flatMap(({ inputs, targets, starts }) =>
      Array.from(starts, (start, i) => {
        const end = i + 1 < starts.length ? starts[i + 1] : inputs.length;
        return `${inputs.slice(start, end).join()} > ${targets.slice(start, end).join()}`;
      }),
    )
    .sort();
}

/** What sequencesOf must give, from lists of inputs and targets that are cut every `context` rows. */
function expectedSequences(rows: readonly (readonly [number, number])[][], context: number): string[] {
  return rows
    .flatMap((own) => {
      const cut: string[] = [];
      for (let at = 0; at < own.length; at += context) {
        const part = own.slice(at, at + context);
        cut.push(`${part.map(([input]) => input).join()} > ${part.map(([, target]) => target).join()}`);
      }
      return cut;
    })
    .sort();
}

/** Inputs and targets of a document: the end stands before the first byte and after the last. */
function rowsOf(document: Uint8Array): [number, number][] {
  const bytes = [...document];
  return [...bytes, END].map((target, i) => [i === 0 ? END : bytes[i - 1], target]);
}

const documents = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 12 });
const shape = fc
  .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 40 }))
  .map(([context, more]) => ({ context, rows: context + more }));

describe('textBatches', () => {
  it('gives every byte and every end exactly once in each epoch, no sequence with two documents', async () => {
    await fc.assert(
      fc.asyncProperty(documents, shape, fc.nat(), async (contents, sizes, seed) => {
        const set = await setOf(contents);
        const expected = expectedSequences(contents.map(rowsOf), sizes.context);
        const source = textBatches(set, { ...sizes, seed, epochs: 2 });
        const batches = await allOf(source);
        const rows = batches.reduce((sum, { inputs }) => sum + inputs.length, 0);
        expect(rows).toBe(2 * contents.reduce((sum, content) => sum + content.length + 1, 0));
        for (const { inputs, weights, starts } of batches) {
          expect(inputs.length).toBeLessThanOrEqual(sizes.rows);
          expect(starts[0]).toBe(0);
          expect(weights.every((weight) => weight === 1)).toBe(true);
        }
        // The two epochs do not share a batch: their sequences are the first and the second half.
        let half = 0;
        let taken = 0;
        while (taken < rows / 2) taken += batches[half++].inputs.length;
        expect(sequencesOf(batches.slice(0, half))).toEqual(expected);
        expect(sequencesOf(batches.slice(half))).toEqual(expected);
      }),
    );
  });

  it('cuts a stream of all documents into full sequences', async () => {
    await fc.assert(
      fc.asyncProperty(documents, shape, async (contents, sizes) => {
        const set = await setOf(contents);
        const batches = await allOf(textBatches(set, { ...sizes, packing: 'stream', epochs: 1 }));
        expect(sequencesOf(batches)).toEqual(expectedSequences([contents.flatMap(rowsOf)], sizes.context));
      }),
    );
  });

  it('keeps the order of the documents where it is not to shuffle, and else changes it with epoch and seed', async () => {
    const contents = Array.from({ length: 60 }, (_, i) => Uint8Array.of(i));
    const set = await setOf(contents);
    const order = async (options: Partial<TextBatchOptions>, epochs = 1): Promise<number[]> =>
      (await allOf(textBatches(set, { context: 2, epochs, ...options }))).map(({ targets }) => targets[0]);
    expect(await order({ shuffle: false })).toEqual(contents.map(([byte]) => byte));
    const two = await order({ seed: 5 }, 2);
    expect(two.slice(0, 60)).toEqual(await order({ seed: 5 }));
    expect(two.slice(0, 60)).not.toEqual(two.slice(60));
    expect(await order({ seed: 6 })).not.toEqual(await order({ seed: 5 }));
  });

  it('goes on to the bit from every place', async () => {
    const option = fc.record({
      packing: fc.constantFrom('documents', 'stream') as fc.Arbitrary<'documents' | 'stream'>,
      objective: fc.constantFrom('causal', 'masked') as fc.Arbitrary<'causal' | 'masked'>,
      positions: fc.constantFrom('sequence', 'document') as fc.Arbitrary<'sequence' | 'document'>,
    });
    await fc.assert(
      fc.asyncProperty(documents, shape, option, fc.nat(), async (contents, sizes, chosen, seed) => {
        const set = await setOf(contents);
        const make = (): BatchSource => textBatches(set, { ...sizes, ...chosen, seed, epochs: 2 });
        const source = make();
        const batches: TrainingBatch[] = [];
        const states: string[] = [];
        for (;;) {
          states.push(JSON.stringify(source.state()));
          const batch = await source.next();
          if (batch === undefined) break;
          batches.push(batch);
        }
        for (const [i, state] of states.entries()) {
          expect(state.length).toBeLessThan(500);
          const resumed = make();
          resumed.restore(JSON.parse(state));
          expect(await allOf(resumed)).toEqual(batches.slice(i));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('counts positions from the start of the document where that is asked for', async () => {
    const contents = [Uint8Array.from({ length: 25 }, (_, i) => i), Uint8Array.of(100, 101)];
    const set = await setOf(contents);
    for (const packing of ['documents', 'stream'] as const) {
      const [batch] = await allOf(
        textBatches(set, { context: 10, rows: 30, packing, positions: 'document', shuffle: false, epochs: 1 }),
      );
      expect([...(batch.positions ?? [])]).toEqual([...Array(26).keys(), 0, 1, 2].slice(0, batch.inputs.length));
      expect(batch.inputs.length).toBe(29);
    }
    const [plain] = await allOf(textBatches(set, { context: 10, epochs: 1 }));
    expect(plain.positions).toBeUndefined();
  });

  describe('splits', () => {
    it('by document: whole documents, the right number, the same whatever the seed of the order', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 2, maxLength: 30 }),
          fc.double({ min: 0.01, max: 0.5, noNaN: true }),
          fc.nat(),
          async (contents, heldOut, seed) => {
            const set = await setOf(contents);
            const source = textBatches(set, { context: 30, seed, split: { heldOut }, epochs: 1 });
            const training = sequencesOf(await allOf(source));
            const validation = sequencesOf(await held(source));
            expect([...training, ...validation].sort()).toEqual(expectedSequences(contents.map(rowsOf), 30));
            expect(validation.length).toBe(Math.max(1, Math.round(heldOut * contents.length)));
            const other = textBatches(set, { context: 30, seed: seed + 1, split: { heldOut } });
            expect(sequencesOf(await held(other))).toEqual(validation);
          },
        ),
      );
    });

    it('by range: the ends of documents, which begin as if they were documents', async () => {
      await fc.assert(
        fc.asyncProperty(documents, fc.double({ min: 0.05, max: 0.5, noNaN: true }), async (contents, heldOut) => {
          const set = await setOf([...contents, new Uint8Array(50).fill(7)]);
          const source = textBatches(set, { context: 60, split: { heldOut, by: 'range' }, epochs: 1 });
          const cut = (content: Uint8Array): number => content.length - Math.floor(content.length * heldOut);
          const all = [...contents, new Uint8Array(50).fill(7)];
          const training = all.map((content) =>
            rowsOf(content.slice(0, cut(content))).slice(0, cut(content) < content.length ? -1 : undefined),
          );
          const ends = all.filter((content) => cut(content) < content.length);
          expect(sequencesOf(await allOf(source))).toEqual(expectedSequences(training, 60));
          expect(sequencesOf(await held(source))).toEqual(
            expectedSequences(
              ends.map((content) => rowsOf(content.slice(cut(content)))),
              60,
            ),
          );
        }),
      );
    });

    it('validate with a part of the held-out part, the same each time', async () => {
      const set = await setOf(Array.from({ length: 40 }, (_, i) => Uint8Array.of(i)));
      const source = textBatches(set, { context: 2, split: { heldOut: 0.5 }, validationBatches: 6 });
      const first = await held(source);
      await source.next();
      expect(first).toHaveLength(6);
      expect(await held(source)).toEqual(first);
      const whole = sequencesOf(await held(textBatches(set, { context: 2, split: { heldOut: 0.5 } })));
      expect(whole).toHaveLength(20);
      expect(sequencesOf(first).every((sequence) => whole.includes(sequence))).toBe(true);
    });

    it('have no validation where nothing is held out, and refuse to hold out everything', async () => {
      const set = await setOf(['a']);
      expect(textBatches(set, { context: 4 }).validation).toBeUndefined();
      expect(() => textBatches(set, { context: 4, split: { heldOut: 0.5 } })).toThrow(DataError);
      expect(() => textBatches(set, { context: 4, split: { heldOut: 0.5, by: 'range' } })).toThrow(DataError);
      expect(() => textBatches(set, { context: 4, split: { heldOut: 1 } })).toThrow(ArgumentError);
    });
  });

  it('refuses to go on with other data, other settings, or what is no state', async () => {
    const set = await setOf(['abc', 'def']);
    const source = textBatches(set, { context: 2 });
    await source.next();
    const state = source.state();
    expect(() => textBatches(set, { context: 3 }).restore(state)).toThrow(/"context" was 2, and is now 3/);
    expect(() => textBatches(set, { context: 2, seed: 1 }).restore(state)).toThrow(DataError);
    const changed = await setOf(['abc', 'dex']);
    expect(() => textBatches(changed, { context: 2 }).restore(state)).toThrow(/data is not what it was/);
    for (const bad of [null, 3, 'x', [], {}]) {
      expect(() => source.restore(bad)).toThrow(DataError);
    }
    expect(() => source.restore({ ...Object(state), next: -1 })).toThrow(DataError);
  });

  it.each([
    [{ context: 0 }],
    [{ context: 1.5 }],
    [{ context: 8, rows: 4 }],
    [{ context: 8, seed: -1 }],
    [{ context: 8, epochs: 0 }],
    [{ context: 8, validationBatches: 0 }],
    [{ context: 8, objective: { rate: 0, masked: 0.8, random: 0.1 } }],
    [{ context: 8, objective: { rate: 0.1, masked: 0.8, random: 0.3 } }],
  ])('refuses %j', async (options) => {
    const set = await setOf(['abc']);
    expect(() => textBatches(set, options)).toThrow(ArgumentError);
  });

  it('needs a mask token for masked language modelling', async () => {
    const { maskToken: _, ...set } = await setOf(['abc']);
    expect(() => textBatches(set, { context: 4, objective: 'masked' })).toThrow(/mask token/);
  });
});

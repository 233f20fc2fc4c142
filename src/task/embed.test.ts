import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { ArgumentError, TextError } from '../errors.ts';
import { bertDefinition, openTinyEncoder, tinyBertWeights } from '../model/encoder/testing.ts';
import { embed } from './embed.ts';

describe('embed', () => {
  let device: WasmDevice;
  const weights = tinyBertWeights();
  beforeAll(async () => {
    device = await createDevice({ threads: 1 });
  });
  afterAll(() => device.dispose());

  it.each(['mean', 'cls'] as const)('pools by %s and gives vectors of length 1, or as they are', async (pooling) => {
    await using encoder = await openTinyEncoder(device, { weights });
    const ids = [
      [5, 9, 20, 7],
      [11, 3, 3, 8, 30, 12, 4],
    ];
    const wanted = ids.map((own) => {
      const rows = bertDefinition(weights, { ids: own });
      const [first = []] = rows;
      return pooling === 'cls'
        ? first
        : first.map((_, d) => rows.reduce((sum, row) => sum + (row[d] ?? 0), 0) / rows.length);
    });
    for (const normalize of [true, false]) {
      const calls: number[] = [];
      const { embeddings, tokens } = await embed({
        encoder,
        ids,
        pooling,
        normalize,
        onProgress: (done) => calls.push(done),
      });
      expect(tokens).toEqual([4, 7]);
      expect(calls).toEqual([1, 2]);
      for (const [i, want] of wanted.entries()) {
        const length = normalize ? Math.hypot(...want) : 1;
        const differences = want.map((x, d) => Math.abs(x / length - (embeddings[i]?.[d] ?? Number.NaN)));
        expect(Math.max(...differences)).toBeLessThan(2e-5);
      }
    }
  });

  it('says what it lacks', async () => {
    await using encoder = await openTinyEncoder(device, { weights });
    await expect(embed({ encoder, texts: ['a'] })).rejects.toThrow(TextError);
    await expect(embed({ encoder })).rejects.toThrow('give either texts or ids');
    await expect(embed({ encoder, ids: [[1]], pooling: 'max' as 'mean' })).rejects.toThrow(ArgumentError);
    expect((await embed({ encoder, ids: [] })).embeddings).toEqual([]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, PatternError } from '../errors.ts';
import { compileMask, refineMask } from '../mask/index.ts';
import { causal, documents, globalTokens, intersect, sinks, union, window } from '../pattern/index.ts';
import { createDevice } from './attention.ts';
import { KeyValueCache } from './cache.ts';
import { referenceAttention } from './reference.ts';
import { additiveBias, alibi, alibiSlopes, composeScores, renameParameter, type ScoreModifier } from './score/index.ts';
import { fromStorage, toStorage } from './storage.ts';
import type { Tensor } from './types.ts';
import type { WasmDevice } from './wasm/device.ts';

const [HEADS, GROUPS, WIDTH, LENGTH] = [4, 2, 16, 700];
const pattern = intersect(causal(), union(window(100), sinks(4)));

function wave(length: number, step: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * step) + Math.cos(i * step * step));
}

const rows = (data: Float32Array, heads: number): Tensor => ({
  data,
  shape: [1, LENGTH, heads, WIDTH],
  layout: 'BNHD',
});
const q = wave(LENGTH * HEADS * WIDTH, 0.731);
const k = wave(LENGTH * GROUPS * WIDTH, 0.317);
const v = wave(LENGTH * GROUPS * WIDTH, 0.913);

describe('KeyValueCache', () => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ threads: 2 });
  });
  afterAll(() => device.dispose());

  /** The whole sequence in chunks of the given sizes, which repeat. */
  async function stream(
    cache: KeyValueCache,
    chunks: number[],
    queries = q,
    sinkQuery?: Float32Array,
    score?: ScoreModifier,
    keys = k,
    values = v,
  ): Promise<Float32Array> {
    const output = new Float32Array(LENGTH * HEADS * WIDTH);
    for (let from = 0, i = 0; from < LENGTH; i++) {
      const to = Math.min(LENGTH, from + (chunks[i % chunks.length] ?? 1));
      const part = (data: Float32Array, heads: number) => data.subarray(from * heads * WIDTH, to * heads * WIDTH);
      cache.begin(to - from);
      await cache.attend(0, {
        q: part(queries, HEADS),
        k: part(keys, GROUPS),
        v: part(values, GROUPS),
        output: part(output, HEADS),
        ...(score ? { score, softcap: 3 } : {}),
        ...(sinkQuery ? { sinkQuery: part(sinkQuery, HEADS) } : {}),
      });
      cache.end();
      from = to;
    }
    return output;
  }

  const layer = { pattern, heads: HEADS, keyValueHeads: GROUPS, queryWidth: WIDTH, valueWidth: WIDTH };

  it.each([[[LENGTH]], [[1]], [[64]], [[3, 100, 1, 61]]])(
    'in chunks of %j gives what one call gives',
    async (chunks) => {
      const cache = new KeyValueCache(device, [layer]);
      const got = await stream(cache, chunks);
      const want = referenceAttention({ q: rows(q, HEADS), k: rows(k, GROUPS), v: rows(v, GROUPS), pattern }).output;
      for (let i = 0; i < want.length; i++) expect(Math.abs(got[i] - want[i])).toBeLessThan(4e-6);
      cache.dispose();
    },
  );

  it('streams a pattern that is meant for the whole text', async () => {
    const own = intersect(
      causal(),
      union(documents({ lengths: [300, 250, 150] }), globalTokens({ positions: [0, 600] })),
    );
    const cache = new KeyValueCache(device, [{ ...layer, pattern: own }]);
    const got = await stream(cache, [90, 7]);
    const want = referenceAttention({ q: rows(q, HEADS), k: rows(k, GROUPS), v: rows(v, GROUPS), pattern: own }).output;
    for (let i = 0; i < want.length; i++) expect(Math.abs(got[i] - want[i])).toBeLessThan(4e-6);
    cache.dispose();
  });

  it.each([[[64]], [[1, 40, 3]]])('modifies scores by absolute positions, in chunks of %j', async (chunks) => {
    const cache = new KeyValueCache(device, [layer]);
    const score = composeScores(
      alibi({ slopes: alibiSlopes(HEADS) }),
      renameParameter(additiveBias({ data: wave(LENGTH * HEADS, 0.77), shape: [HEADS, 1, LENGTH] }), 'bias', 'keyBias'),
    );
    const got = await stream(cache, chunks, q, undefined, score);
    const want = referenceAttention({
      q: rows(q, HEADS),
      k: rows(k, GROUPS),
      v: rows(v, GROUPS),
      pattern,
      score,
      softcap: 3,
    }).output;
    for (let i = 0; i < want.length; i++) expect(Math.abs(got[i] - want[i])).toBeLessThan(4e-6);
    cache.dispose();
  });

  it.each(['f16', 'bf16'] as const)('keeps keys and values in %s, in half the memory', async (storage) => {
    const round = (values: Float32Array) => fromStorage(toStorage(values, storage), storage);
    for (const chunks of [[LENGTH], [1], [3, 100, 1, 61]]) {
      const [whole, half] = [new KeyValueCache(device, [layer]), new KeyValueCache(device, [layer], { storage })];
      const want = await stream(whole, chunks, q, undefined, undefined, round(k), round(v));
      expect(await stream(half, chunks)).toEqual(want);
      expect(half.bytes).toBe(whole.bytes / 2);
      for (const cache of [whole, half]) cache.dispose();
    }
  });

  it('takes no other storage', () => {
    const options = { storage: 'f8' } as unknown as { storage: 'f16' };
    expect(() => new KeyValueCache(device, [layer], options)).toThrow(
      /storage must be 'f32', 'f16' or 'bf16', got 'f8'/,
    );
  });

  it('takes patterns, not masks', () => {
    const mask = compileMask(pattern, { queries: 9, keys: 9, heads: HEADS });
    const refined = refineMask(mask, { lengths: [3, 9] });
    for (const own of [mask, refined] as unknown as (typeof pattern)[]) {
      expect(() => new KeyValueCache(device, [{ ...layer, pattern: own }])).toThrow(ArgumentError);
      expect(() => new KeyValueCache(device, [{ ...layer, sinkPattern: own }])).toThrow(
        /of a refined mask give batch\[b\]\.pattern/,
      );
    }
    expect(() => new KeyValueCache(device, [{ ...layer, pattern: { kind: 'sinks', count: -1 } }])).toThrow(
      PatternError,
    );
  });

  it('keeps only the pages that are still seen', async () => {
    const cache = new KeyValueCache(device, [layer]);
    const before = device.heap.used;
    await stream(cache, [10]);
    // Sinks: one page. 100 keys back and 10 new ones touch at most three pages.
    expect(cache.bytes).toBeLessThanOrEqual(2 * 4 * 4 * 64 * GROUPS * WIDTH * 1.25);
    expect(cache.length).toBe(LENGTH);
    cache.dispose();
    expect(device.heap.used).toBeLessThanOrEqual(before);
  });

  it('scores the pairs of sinkPattern with the sink query, in one softmax', async () => {
    const half = q.map((x) => x * 0.5);
    const split = {
      ...layer,
      pattern: intersect(causal(), window(100)),
      // Keys that lie more than 100 back.
      sinkPattern: intersect(sinks(4), { kind: 'window', left: LENGTH, right: 0 }, causal()),
    };
    // Disjoint from the window only where no sink lies in it: compare from there on.
    const cache = new KeyValueCache(device, [split]);
    const got = await stream(cache, [50], q, half);
    const first = 110;
    for (const i of [first, 400, LENGTH - 1]) {
      for (let h = 0; h < HEADS; h++) {
        const g = Math.floor(h / (HEADS / GROUPS));
        const scores: { score: number; key: number }[] = [];
        for (let j = 0; j <= i; j++) {
          if (i - j > 100 && j >= 4) continue;
          const query = i - j > 100 ? half : q;
          let dot = 0;
          for (let d = 0; d < WIDTH; d++) dot += query[(i * HEADS + h) * WIDTH + d] * k[(j * GROUPS + g) * WIDTH + d];
          scores.push({ score: dot / 4, key: j });
        }
        const top = Math.max(...scores.map(({ score }) => score));
        const sum = scores.reduce((total, { score }) => total + Math.exp(score - top), 0);
        for (let e = 0; e < WIDTH; e++) {
          const want = scores.reduce(
            (total, { score, key }) => total + (Math.exp(score - top) / sum) * v[(key * GROUPS + g) * WIDTH + e],
            0,
          );
          expect(Math.abs(got[(i * HEADS + h) * WIDTH + e] - want)).toBeLessThan(4e-6);
        }
      }
    }
    cache.dispose();
  });

  it('says what is wrong with a call', async () => {
    const cache = new KeyValueCache(device, [layer]);
    await expect(cache.attend(0, { q, k, v, output: new Float32Array(1) })).rejects.toThrow(/call begin\(\) first/);
    cache.begin(2);
    expect(() => cache.begin(2)).toThrow(/end\(\) the tokens begun before/);
    await expect(cache.attend(0, { q, k, v, output: q })).rejects.toThrow(/q has \d+ numbers, \[2, 64\] needs 128/);
    cache.dispose();
  });
});

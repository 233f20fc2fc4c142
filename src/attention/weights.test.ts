import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, MemoryError } from '../errors.ts';
import { compileMask, refineMask, toCsr } from '../mask/index.ts';
import { causal, dense, intersect, perHead, sinks, union, window } from '../pattern/index.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { createDevice } from './attention.ts';
import { referenceWeights } from './reference-weights.ts';
import { additiveBias, alibi, alibiSlopes, relativePositions } from './score/index.ts';
import type { WeightsOptions } from './sparse-weights.ts';
import { fromStorage, toStorage } from './storage.ts';
import type { AttentionOptions, Tensor } from './types.ts';
import { candidateBuilds } from './wasm/choose-build.ts';
import type { WasmDevice } from './wasm/device.ts';
import { findPlatform } from './wasm/platform.ts';
import { attentionWeights } from './weights.ts';

/** Numbers in [-2, 2) from a linear congruential generator. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 30 - 2;
  });
}

function tensor(shape: [number, number, number, number], seed: number, layout: 'BHND' | 'BNHD' = 'BHND'): Tensor {
  return { data: numbers(shape[0] * shape[1] * shape[2] * shape[3], seed), shape, layout };
}

/** Float32 rounds scores of 20 by 1e-6; probabilities are below 1. */
const TOLERANCE = 4e-6;
const builds = ['baseline', ...candidateBuilds(await findPlatform()).filter((build) => build !== 'baseline')] as const;

describe.each(builds)('attentionWeights on the wasm build %s', (build) => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ build, threads: 2 });
  });
  afterAll(() => device.dispose());

  /** Checks structure and values against the definition, and the values times v against the output; with and without lse. */
  async function compare(
    options: AttentionOptions,
    rows?: { start: number; end: number },
    own = device,
  ): Promise<void> {
    const { output, lse } = await own.attention(options);
    const want = referenceWeights(options);
    const [batch, second, third] = options.q.shape;
    const [heads, queries] = options.q.layout === 'BNHD' ? [third, second] : [second, third];
    const keys = options.k.shape[options.k.layout === 'BNHD' ? 1 : 2];
    const mask = options.mask ?? compileMask(options.pattern ?? dense(), { heads, queries, keys });
    for (const known of [{ lse }, {}]) {
      const weights = await own.attentionWeights({ ...options, ...known, ...(rows ? { rows } : {}) });
      const { start, end } = rows ?? { start: 0, end: queries };
      expect(weights.rows).toEqual({ start, end });
      for (let b = 0; b < batch; b++) {
        for (let h = 0; h < heads; h++) {
          const { rowStart, columns, values } = weights.heads[b][h];
          const whole = toCsr(mask.batch?.[b] ?? mask, h);
          const first = whole.rowStart[start];
          expect(rowStart).toEqual(whole.rowStart.slice(start, end + 1).map((at) => at - first));
          expect(columns).toEqual(whole.columns.slice(first, whole.rowStart[end]));
          for (let i = start; i < end; i++) {
            const row = (b * heads + h) * queries + i;
            const product = new Float64Array(options.v.shape[3]);
            for (let e = rowStart[i - start]; e < rowStart[i - start + 1]; e++) {
              const probability = want[row * keys + columns[e]];
              if (!(Math.abs(values[e] - probability) <= TOLERANCE))
                expect.fail(`${b} ${h} ${i} ${columns[e]}: got ${values[e]}, want ${probability}`);
              const value = rowOf(options.v, b, Math.floor(h / (heads / headsOf(options.v))), columns[e]);
              for (let d = 0; d < product.length; d++) product[d] += values[e] * value[d];
            }
            const out = rowOf(output, b, h, i);
            for (let d = 0; d < product.length; d++) {
              if (!(Math.abs(product[d] - out[d]) <= 4 * TOLERANCE))
                expect.fail(`values times v: ${b} ${h} ${i}: got ${product[d]}, want ${out[d]}`);
            }
          }
        }
      }
    }
  }

  const leaf: fc.Arbitrary<Pattern> = fc.oneof(
    fc.constant(dense()),
    fc.constant(causal()),
    fc.record({ left: fc.nat(150), right: fc.nat(150), dilation: fc.integer({ min: 1, max: 5 }) }).map(window),
    fc.nat(20).map(sinks),
  );
  const pattern = fc.oneof(
    leaf,
    fc.tuple(leaf, leaf).map((of) => union(...of)),
    fc.tuple(leaf, leaf).map((of) => intersect(...of)),
    fc.array(leaf, { minLength: 1, maxLength: 3 }).map((heads) => perHead(heads)),
  );

  it('agree with the float64 definition, and give the output, for any shape, pattern and option', async () => {
    const problem = fc.record({
      batch: fc.integer({ min: 1, max: 2 }),
      groups: fc.integer({ min: 1, max: 2 }),
      perGroup: fc.integer({ min: 1, max: 2 }),
      queries: fc.oneof(fc.nat(10), fc.nat(150)),
      keys: fc.nat(220),
      width: fc.integer({ min: 1, max: 40 }),
      valueWidth: fc.integer({ min: 1, max: 9 }),
      layoutQ: fc.constantFrom('BHND' as const, 'BNHD' as const),
      layoutK: fc.constantFrom('BHND' as const, 'BNHD' as const),
      softcap: fc.option(fc.double({ min: 0.5, max: 30, noNaN: true }), { nil: undefined }),
      sink: fc.boolean(),
      score: fc.constantFrom('none', 'none', 'alibi', 'table'),
      part: fc.option(fc.tuple(fc.nat(), fc.nat()), { nil: undefined }),
      pattern,
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(problem, async (p) => {
        const heads = p.groups * p.perGroup;
        const order = (layout: 'BHND' | 'BNHD', h: number, n: number, d: number): [number, number, number, number] =>
          layout === 'BHND' ? [p.batch, h, n, d] : [p.batch, n, h, d];
        const modifiers = {
          none: {},
          alibi: { score: alibi({ slopes: alibiSlopes(heads), symmetric: true }) },
          table: { score: relativePositions({ data: numbers(heads * 21, p.seed + 4), shape: [heads, 21] }) },
        };
        const [a, b] = (p.part ?? []).map((at) => at % (p.queries + 1));
        await compare(
          {
            q: tensor(order(p.layoutQ, heads, p.queries, p.width), p.seed, p.layoutQ),
            k: tensor(order(p.layoutK, p.groups, p.keys, p.width), p.seed + 1, p.layoutK),
            v: tensor(order(p.layoutK, p.groups, p.keys, p.valueWidth), p.seed + 2, p.layoutK),
            pattern: p.pattern,
            scale: 0.1,
            ...(p.softcap === undefined ? {} : { softcap: p.softcap }),
            ...(p.sink ? { sinkLogits: numbers(heads, p.seed + 3) } : {}),
            ...modifiers[p.score as keyof typeof modifiers],
          },
          p.part && { start: Math.min(a, b), end: Math.max(a, b) },
        );
      }),
      { numRuns: 40 },
    );
  });

  const shape: [number, number, number, number] = [2, 4, 150, 16];
  const plain = { q: tensor(shape, 1), k: tensor(shape, 2), v: tensor(shape, 3) };

  it('take a mask of its own for each batch entry, and entries with the same pairs share them', async () => {
    const base = compileMask(perHead([window(20), causal()]), { queries: 150, keys: 150, heads: 4 });
    await compare({ ...plain, mask: refineMask(base, { lengths: [150, 70], padding: 'left' }) });
    const same = await device.attentionWeights({ ...plain, mask: base });
    expect(same.heads[1][2].columns).toBe(same.heads[0][0].columns);
    expect(same.heads[1][2].rowStart).toBe(same.heads[0][0].rowStart);
    expect(same.heads[1][2].values).not.toBe(same.heads[0][0].values);
    expect(same.heads[1][1].columns).not.toBe(same.heads[0][0].columns);
  });

  it.each(['f16', 'bf16'] as const)('of %s are those of the same numbers in f32', async (type) => {
    const { q, k } = plain;
    const stored = (tensor: Tensor) => ({ ...tensor, data: toStorage(tensor.data, type), type });
    const widened = (tensor: Tensor) => ({ ...tensor, data: fromStorage(toStorage(tensor.data, type), type) });
    const pattern = window(30);
    const got = await device.attentionWeights({ q: stored(q), k: stored(k), pattern });
    expect(got).toEqual(await device.attentionWeights({ q: widened(q), k: widened(k), pattern }));
  });

  it('leave rows without a key empty, and give a lone sink all of a row', async () => {
    const options: WeightsOptions = { q: tensor([1, 1, 5, 8], 1), k: tensor([1, 1, 3, 8], 2), pattern: causal() };
    // Five queries, three keys, aligned at the end: the first two see nothing, the third sees one key.
    const { heads } = await device.attentionWeights(options);
    expect([...heads[0][0].rowStart]).toEqual([0, 0, 0, 1, 3, 6]);
    expect(heads[0][0].values[0]).toBe(1);
    const sink = await device.attentionWeights({ ...options, sinkLogits: new Float32Array([200]) });
    expect([...sink.heads[0][0].values]).toEqual([0, 0, 0, 0, 0, 0]);
    const none = await device.attentionWeights({ ...options, rows: { start: 2, end: 2 } });
    expect([...none.heads[0][0].rowStart]).toEqual([0]);
    const bias = new Float32Array(3).fill(-Infinity);
    const masked = await device.attentionWeights({ ...options, score: additiveBias({ data: bias, shape: [1, 1, 3] }) });
    expect([...masked.heads[0][0].values]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('keep a NaN in the rows that see it', async () => {
    const k = tensor([1, 1, 100, 8], 2);
    k.data[70 * 8 + 3] = NaN;
    const { heads } = await device.attentionWeights({ q: tensor([1, 1, 100, 8], 1), k, pattern: window(5) });
    const { rowStart, values } = heads[0][0];
    for (let i = 0; i < 100; i++) {
      const row = values.subarray(rowStart[i], rowStart[i + 1]);
      expect(row.every(Number.isNaN)).toBe(Math.abs(i - 70) <= 5);
      expect(row.some(Number.isNaN)).toBe(Math.abs(i - 70) <= 5);
    }
  });

  it('are the same bits on any number of threads, in many small jobs, and for any rows', async () => {
    const options = { ...plain, pattern: union(window(40), sinks(3)), sinkLogits: numbers(4, 9) };
    const whole = await device.attentionWeights(options);
    await using alone = await createDevice({ build, threads: 1, copyBytes: 1000 });
    expect(await alone.attentionWeights(options)).toEqual(whole);
    const rows = { start: 61, end: 131 };
    const some = await device.attentionWeights({ ...options, rows });
    for (const [b, heads] of whole.heads.entries()) {
      for (const [h, { rowStart, values }] of heads.entries())
        expect(some.heads[b][h].values).toEqual(values.slice(rowStart[rows.start], rowStart[rows.end]));
    }
    await compare(options, undefined, alone);
  });
});

describe('attentionWeights', () => {
  const options = { q: tensor([1, 2, 100, 8], 1), k: tensor([1, 2, 100, 8], 2) };

  it('say how much is needed where it does not fit', async () => {
    await using device = await createDevice({ threads: 1 });
    // Two heads of 100 x 100 pairs share one list of columns.
    const bytes = 4 * (2 * 10_000 + 10_000) + 8 * 101;
    const run = attentionWeights({ ...options, device, maximumBytes: 1000 });
    await expect(run).rejects.toThrow(MemoryError);
    await expect(run).rejects.toThrow(`20000 pairs need ${bytes} bytes and there are 1000`);
    const { heads } = await attentionWeights({ ...options, device, maximumBytes: bytes });
    expect(heads[0][0].values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(100, 3);
  });

  it.each([
    ['rows', { rows: { start: 3, end: 101 } }, /rows must be .* <= 100, got 3 to 101/],
    ['rows in reverse', { rows: { start: 3, end: 2 } }, /got 3 to 2/],
    ['an lse', { lse: new Float32Array(3) }, /lse must be \[1, 2, 100\], got 3 numbers/],
    ['keys', { k: tensor([1, 2, 100, 9], 2) }, /k has width 9, q has 8/],
  ])('refuse wrong %s', async (_, change, message) => {
    await using device = await createDevice({ threads: 1 });
    const run = attentionWeights({ ...options, ...change, device });
    await expect(run).rejects.toThrow(ArgumentError);
    await expect(run).rejects.toThrow(message);
  });
});

function headsOf({ shape, layout }: Tensor): number {
  return layout === 'BNHD' ? shape[2] : shape[1];
}

function rowOf({ data, shape, layout }: Tensor, b: number, h: number, i: number): Float32Array {
  const [, second, third, width] = shape;
  const row = layout === 'BNHD' ? (b * second + i) * third + h : (b * second + h) * third + i;
  return data.subarray(row * width, (row + 1) * width);
}

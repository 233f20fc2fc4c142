import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, DeviceError, PatternError } from '../errors.ts';
import { compileMask, isAllowed } from '../mask/index.ts';
import { causal, dense, documents, globalTokens, intersect, perHead, sinks, union, window } from '../pattern/index.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { createDevice } from './attention.ts';
import { referenceAttention } from './reference.ts';
import type { AttentionOptions, Tensor } from './types.ts';
import { candidateBuilds } from './wasm/choose-build.ts';
import type { WasmDevice } from './wasm/device.ts';
import { findPlatform } from './wasm/platform.ts';

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

function expectClose(got: Float32Array, want: Float64Array, tolerance: number): void {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < want.length; i++) {
    if (Object.is(got[i], want[i]) || Math.abs(got[i] - want[i]) <= tolerance * Math.max(1, Math.abs(want[i])))
      continue;
    expect.fail(`at ${i}: got ${got[i]}, want ${want[i]}`);
  }
}

const TOLERANCE = 4e-6;
const builds = ['baseline', ...candidateBuilds(await findPlatform()).filter((build) => build !== 'baseline')] as const;

describe.each(builds)('attention on the wasm build %s', (build) => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ build, threads: 2 });
  });
  afterAll(() => device.dispose());

  async function compare(options: AttentionOptions): Promise<void> {
    const { output, lse } = await device.attention(options);
    const want = referenceAttention(options);
    expectClose(output.data, want.output, TOLERANCE);
    expectClose(lse, want.lse, TOLERANCE);
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

  it('agrees with the float64 definition for any shape, pattern and option', async () => {
    const problem = fc.record({
      batch: fc.integer({ min: 1, max: 2 }),
      groups: fc.integer({ min: 1, max: 2 }),
      perGroup: fc.integer({ min: 1, max: 3 }),
      queries: fc.oneof(fc.nat(10), fc.nat(200)),
      keys: fc.nat(300),
      width: fc.integer({ min: 1, max: 70 }),
      valueWidth: fc.integer({ min: 1, max: 70 }),
      layoutQ: fc.constantFrom('BHND' as const, 'BNHD' as const),
      layoutK: fc.constantFrom('BHND' as const, 'BNHD' as const),
      softcap: fc.option(fc.double({ min: 0.5, max: 30, noNaN: true }), { nil: undefined }),
      // Scores stay below 20 or so: float32 rounds them by 1e-6, and the output's relative error is of that size.
      scale: fc.option(fc.double({ min: -0.15, max: 0.15, noNaN: true }), { nil: undefined }),
      sink: fc.boolean(),
      pattern,
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(problem, async (p) => {
        const heads = p.groups * p.perGroup;
        const order = (layout: 'BHND' | 'BNHD', h: number, n: number, d: number): [number, number, number, number] =>
          layout === 'BHND' ? [p.batch, h, n, d] : [p.batch, n, h, d];
        await compare({
          q: tensor(order(p.layoutQ, heads, p.queries, p.width), p.seed, p.layoutQ),
          k: tensor(order(p.layoutK, p.groups, p.keys, p.width), p.seed + 1, p.layoutK),
          v: tensor(order(p.layoutK, p.groups, p.keys, p.valueWidth), p.seed + 2, p.layoutK),
          pattern: p.pattern,
          ...(p.softcap === undefined ? {} : { softcap: p.softcap }),
          ...(p.scale === undefined ? {} : { scale: p.scale }),
          ...(p.sink ? { sinkLogits: numbers(heads, p.seed + 3) } : {}),
        });
      }),
      { numRuns: 60 },
    );
  });

  it.each([1, 3, 64, 65, 130, 256])('takes heads of width %i', async (width) => {
    await compare({
      q: tensor([1, 2, 70, width], 1),
      k: tensor([1, 1, 70, width], 2),
      v: tensor([1, 1, 70, 257 - width], 3),
      pattern: causal(),
    });
  });

  it('keeps its accuracy with scores in the hundreds', async () => {
    const q = tensor([1, 1, 100, 16], 1);
    const k = tensor([1, 1, 100, 16], 2);
    const { output } = await device.attention({ q, k, v: tensor([1, 1, 100, 16], 3), scale: 30 });
    // Float32 rounds a score of 1,000 by 3e-5, which the softmax turns into a relative error of that size.
    expectClose(output.data, referenceAttention({ q, k, v: tensor([1, 1, 100, 16], 3), scale: 30 }).output, 1e-3);
  });

  it('gives zeros and -Infinity to rows without a key, and counts a lone sink', async () => {
    const options = {
      q: tensor([1, 2, 5, 8], 1),
      k: tensor([1, 2, 3, 8], 2),
      v: tensor([1, 2, 3, 8], 3),
      pattern: causal(),
    };
    const { output, lse } = await device.attention(options);
    // Five queries, three keys, aligned at the end: the first two see nothing.
    expect([...lse.subarray(0, 2)]).toEqual([-Infinity, -Infinity]);
    expect(output.data.subarray(0, 16).every((x) => x === 0)).toBe(true);
    const withSink = await device.attention({ ...options, sinkLogits: new Float32Array([1.5, -2]) });
    expect(withSink.lse[0]).toBeCloseTo(1.5, 6);
    expect(withSink.output.data.subarray(0, 16).every((x) => x === 0)).toBe(true);
  });

  it('keeps NaN and infinities in the rows that can see them', async () => {
    const problem = fc.record({
      queries: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 200 })),
      keys: fc.integer({ min: 1, max: 200 }),
      width: fc.integer({ min: 1, max: 20 }),
      which: fc.constantFrom('q' as const, 'k' as const, 'v' as const),
      value: fc.constantFrom(Number.NaN, Infinity, -Infinity),
      place: fc.nat(),
      pattern: fc.oneof(
        leaf,
        fc.tuple(leaf, leaf).map((of) => union(...of)),
      ),
    });
    await fc.assert(
      fc.asyncProperty(problem, async ({ queries, keys, width, which, value, place, pattern }) => {
        const tensors = {
          q: tensor([1, 1, queries, width], 1),
          k: tensor([1, 1, keys, width], 2),
          v: tensor([1, 1, keys, width], 3),
        };
        const mask = compileMask(pattern, { heads: 1, queries, keys });
        const clean = await device.attention({ ...tensors, mask });
        const { data } = tensors[which];
        const at = place % data.length;
        data[at] = value;
        const { output } = await device.attention({ ...tensors, mask });
        const row = Math.floor(at / width);
        for (let i = 0; i < queries; i++) {
          if (which === 'q' ? i === row : isAllowed(mask, 0, i, row)) continue;
          const own = output.data.subarray(i * width, (i + 1) * width);
          expectClose(own, Float64Array.from(clean.output.data.subarray(i * width, (i + 1) * width)), TOLERANCE);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('does not depend on the number of threads', async () => {
    const options = {
      q: tensor([1, 3, 500, 64], 1),
      k: tensor([1, 3, 500, 64], 2),
      v: tensor([1, 3, 500, 64], 3),
      pattern: window(100),
    };
    const two = await device.attention(options);
    await using alone = await createDevice({ build, threads: 1 });
    const one = await alone.attention(options);
    expect(one.output.data).toEqual(two.output.data);
    expect(one.lse).toEqual(two.lse);
  });

  it('reads and writes arrays of its own memory in place', async () => {
    const shape: [number, number, number, number] = [1, 2, 150, 32];
    const own = (source: Tensor): Tensor => {
      const data = device.allocate(source.data.length);
      data.set(source.data);
      return { ...source, data };
    };
    const [q, k, v] = [1, 2, 3].map((seed) => own(tensor(shape, seed)));
    const output = own(tensor(shape, 4));
    const result = await device.attention({ q, k, v, output, pattern: window(9) });
    expect(result.output.data).toBe(output.data);
    expectClose(output.data, referenceAttention({ q, k, v, pattern: window(9) }).output, TOLERANCE);
    for (const { data } of [q, k, v, output]) device.release(data);
  });

  it.each(['BHND', 'BNHD'] as const)('streams heads (%s) that are too many to copy at once', async (layout) => {
    const shape = (heads: number, width: number): [number, number, number, number] =>
      layout === 'BHND' ? [2, heads, 90, width] : [2, 90, heads, width];
    const options = {
      q: tensor(shape(4, 16), 1, layout),
      k: tensor(shape(2, 16), 2, layout),
      v: tensor(shape(2, 24), 3, layout),
      sinkLogits: numbers(4, 4),
      pattern: perHead([window(9), causal(), dense()]),
    };
    await using frugal = await createDevice({ build, threads: 2, copyBytes: 1000 });
    const { output, lse } = await frugal.attention(options);
    const want = referenceAttention(options);
    expectClose(output.data, want.output, TOLERANCE);
    expectClose(lse, want.lse, TOLERANCE);
  });

  it('stops between blocks when the signal aborts', async () => {
    const shape: [number, number, number, number] = [1, 8, 4096, 64];
    const mask = compileMask(dense(), { queries: 4096, keys: 4096, heads: 8 });
    const controller = new AbortController();
    const run = device.attention({
      q: tensor(shape, 1),
      k: tensor(shape, 2),
      v: tensor(shape, 3),
      mask,
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(new Error('enough')), 5);
    await expect(run).rejects.toThrow('enough');
    await compare({ q: tensor([1, 1, 9, 8], 1), k: tensor([1, 1, 9, 8], 2), v: tensor([1, 1, 9, 8], 3) });
  });
});

describe('bad arguments', () => {
  const q = tensor([1, 4, 6, 8], 1);
  const k = tensor([1, 2, 7, 8], 2);
  const v = tensor([1, 2, 7, 5], 3);
  const cases: [string, Partial<AttentionOptions>, RegExp][] = [
    ['another width', { k: tensor([1, 2, 7, 9], 2) }, /k has width 9, q has 8 \(q \[1, 4, 6, 8\], k \[1, 2, 7, 9\]/],
    ['another batch', { k: tensor([2, 2, 7, 8], 2) }, /k has batch 2, q has 1/],
    ['other rows', { v: tensor([1, 2, 8, 5], 2) }, /v has 8 rows, k has 7/],
    [
      'heads that do not divide',
      { k: tensor([1, 3, 7, 8], 2), v: tensor([1, 3, 7, 5], 3) },
      /4 heads of q must be a multiple of the 3/,
    ],
    [
      'a shape without its numbers',
      { q: { data: new Float32Array(3), shape: [1, 4, 6, 8] } },
      /q has 3 numbers, its shape .* needs 192/,
    ],
    ['a scale that is not finite', { scale: Number.NaN }, /scale must be a finite number, got NaN/],
    ['a softcap of zero', { softcap: 0 }, /softcap must be a finite number above 0, got 0/],
    ['sink logits of other heads', { sinkLogits: new Float32Array(3) }, /one number for each of the 4 heads, got 3/],
    [
      'a mask for another shape',
      { mask: compileMask(dense(), { queries: 6, keys: 6, heads: 4 }) },
      /6 queries and 6 keys; q and k have 4, 6 and 7/,
    ],
    [
      'a grid of other cells',
      { pattern: { kind: 'axial', grid: [2, 3], axes: [[1]] } },
      /2 x 3 = 6 cells; the text has 7/,
    ],
    [
      'a global token beyond the text',
      { pattern: globalTokens({ positions: [7] }) },
      /global has position 7; the text has 7/,
    ],
    [
      'documents of another length',
      { pattern: documents({ lengths: [4, 4] }) },
      /documents is for 8 tokens; the text has 7/,
    ],
    ['an output of another shape', { output: tensor([1, 4, 6, 8], 1) }, /output must be \[1, 4, 6, 5\]/],
  ];
  it.each(cases)('%s', async (_, change, message) => {
    await using device = await createDevice({ threads: 1 });
    const run = device.attention({ q, k, v, ...change });
    await expect(run).rejects.toThrow('pattern' in change ? PatternError : ArgumentError);
    await expect(run).rejects.toThrow(message);
  });

  it('a disposed device says so', async () => {
    const device = await createDevice({ threads: 2 });
    await device.dispose();
    await expect(device.attention({ q, k, v })).rejects.toThrow(DeviceError);
  });
});

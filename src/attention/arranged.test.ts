import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { arrangeMask, compileMask } from '../mask/index.ts';
import {
  allows,
  axial,
  causal,
  globalTokens,
  intersect,
  type Pattern,
  perHead,
  sinks,
  strided,
  union,
  window,
} from '../pattern/index.ts';
import {
  type AttentionGradients,
  type AttentionOptions,
  type AttentionResult,
  createDevice,
  referenceAttention,
  referenceGradients,
  type Tensor,
  type WasmDevice,
} from './index.ts';
import { candidateBuilds } from './wasm/choose-build.ts';
import { findPlatform } from './wasm/platform.ts';

/** Numbers in [-2, 2) from a linear congruential generator. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 30 - 2;
  });
}

type Shape = [number, number, number, number];

function tensor(shape: Shape, seed: number, layout: 'BHND' | 'BNHD' = 'BHND'): Tensor {
  const [b, h, n, d] = shape;
  return { data: numbers(b * h * n * d, seed), shape: layout === 'BHND' ? shape : [b, n, h, d], layout };
}

/** `scale` is that of the numbers, which sums over many pairs have in common. */
function expectClose(name: string, got: Float32Array, want: Float64Array, tolerance: number): void {
  expect(got.length).toBe(want.length);
  let largest = 1;
  for (const x of want) if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
  for (let i = 0; i < want.length; i++) {
    if (Object.is(got[i], want[i]) || Math.abs(got[i] - want[i]) <= tolerance * largest) continue;
    expect.fail(`${name} at ${i}: got ${got[i]}, want ${want[i]}`);
  }
}

const TOLERANCE = 4e-6;
/** Always in an order of their own where that is possible, and never. */
const [ALWAYS, NEVER] = [-Infinity, 1];
const builds = ['baseline', ...candidateBuilds(await findPlatform()).filter((build) => build !== 'baseline')] as const;

const dilated = fc
  .record({ left: fc.nat(60), right: fc.nat(60), dilation: fc.integer({ min: 2, max: 40 }) })
  .filter(({ left, right }) => left + right > 0)
  .map(window);
const grid = fc.constantFrom(
  axial({ grid: [9, 20], axes: [0, 1] }),
  axial({ grid: [5, 6, 7], axes: [0, 1, 2] }),
  axial({ grid: [5, 6, 7], axes: [0] }),
  axial({ grid: [4, 6, 8], axes: [[0, 2], [1]] }),
);
const scattered: fc.Arbitrary<Pattern> = fc.oneof(
  dilated,
  grid,
  fc.integer({ min: 2, max: 30 }).map(strided),
  fc.tuple(dilated, fc.constantFrom<Pattern>(causal(), sinks(90))).map((of) => intersect(...of)),
  fc
    .tuple(dilated, fc.constantFrom<Pattern>(sinks(3), window(10), globalTokens({ positions: [2, 70] })))
    .map((of) => union(...of)),
  fc.tuple(dilated, grid, fc.constant(causal())).map(([a, b, c]) => union(intersect(a, c), b)),
);
const pattern = fc.oneof(
  { weight: 2, arbitrary: scattered },
  { weight: 1, arbitrary: fc.array(scattered, { minLength: 2, maxLength: 3 }).map((heads) => perHead(heads)) },
);
const problem = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  groups: fc.integer({ min: 1, max: 2 }),
  perGroup: fc.integer({ min: 1, max: 3 }),
  queries: fc.integer({ min: 65, max: 230 }),
  keys: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 65, max: 230 })),
  width: fc.integer({ min: 1, max: 40 }),
  valueWidth: fc.integer({ min: 1, max: 40 }),
  layout: fc.constantFrom('BHND' as const, 'BNHD' as const),
  softcap: fc.option(fc.constant(3), { nil: undefined }),
  sink: fc.boolean(),
  dropout: fc.option(fc.constant(0.3), { nil: undefined }),
  pattern,
  seed: fc.nat(),
});

function optionsOf(p: typeof problem extends fc.Arbitrary<infer P> ? P : never): AttentionOptions & {
  readonly gradOutput: Tensor;
  readonly gradLse: Float32Array;
} {
  const { batch, groups, queries, keys, width, valueWidth, layout, seed } = p;
  const heads = groups * p.perGroup;
  return {
    q: tensor([batch, heads, queries, width], seed, layout),
    k: tensor([batch, groups, keys, width], seed + 1),
    v: tensor([batch, groups, keys, valueWidth], seed + 2),
    gradOutput: tensor([batch, heads, queries, valueWidth], seed + 3, layout),
    gradLse: numbers(batch * heads * queries, seed + 4),
    pattern: p.pattern,
    scale: 0.2 / Math.sqrt(width),
    ...(p.softcap === undefined ? {} : { softcap: p.softcap }),
    ...(p.sink ? { sinkLogits: numbers(heads, seed + 5) } : {}),
    ...(p.dropout === undefined ? {} : { dropout: { rate: p.dropout, seed } }),
  };
}

describe.each(builds)('attention in an order of its own on the wasm build %s', (build) => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ build, threads: 2, leastGain: ALWAYS });
  });
  afterAll(() => device.dispose());

  async function both(
    options: ReturnType<typeof optionsOf>,
    on = device,
  ): Promise<AttentionResult & AttentionGradients> {
    const result = await on.attention(options);
    return { ...result, ...(await on.attentionGradients({ ...options, ...result })) };
  }

  it('and its gradients agree with the float64 definition for any scattered pattern, shape and option', async () => {
    let arranged = 0;
    await fc.assert(
      fc.asyncProperty(problem, async (p) => {
        const { pattern: _, ...others } = optionsOf(p);
        const { queries, keys } = p;
        const mask = compileMask(p.pattern, { queries, keys, heads: p.groups * p.perGroup, length: Infinity });
        const options = { ...others, mask };
        if (arrangeMask(mask, ALWAYS) !== undefined) arranged++;
        const got = await both(options);
        const want = { ...referenceAttention(options), ...referenceGradients(options) };
        expectClose('output', got.output.data, want.output, TOLERANCE);
        expectClose('lse', got.lse, want.lse, TOLERANCE);
        expectClose('gradQ', got.gradQ.data, want.gradQ, TOLERANCE);
        expectClose('gradK', got.gradK.data, want.gradK, TOLERANCE);
        expectClose('gradV', got.gradV.data, want.gradV, TOLERANCE);
        if (got.gradSinkLogits) expectClose('gradSinkLogits', got.gradSinkLogits, want.gradSinkLogits, TOLERANCE);
      }),
      { numRuns: 40 },
    );
    expect(arranged).toBeGreaterThan(10);
  });

  const example = (pattern: Pattern, heads: number) =>
    optionsOf({
      batch: 1,
      groups: heads,
      perGroup: 1,
      queries: 900,
      keys: 900,
      width: 64,
      valueWidth: 64,
      layout: 'BHND',
      softcap: undefined,
      sink: true,
      dropout: undefined,
      pattern,
      seed: 7,
    });

  it('gives what the natural order gives', async () => {
    const options = example(perHead([window({ left: 30, right: 30, dilation: 6 }), strided(30), window(50)]), 3);
    await using natural = await createDevice({ build, threads: 2, leastGain: NEVER });
    const [got, want] = [await both(options), await both(options, natural)];
    for (const name of ['output', 'gradQ', 'gradK', 'gradV'] as const) {
      expectClose(name, got[name].data, Float64Array.from(want[name].data), TOLERANCE);
    }
    expectClose('lse', got.lse, Float64Array.from(want.lse), TOLERANCE);
    // Orders differ, so that some last bits do: it is not the same computation.
    expect(got.output.data).not.toEqual(want.output.data);
  });

  it('does not depend on the number of threads', async () => {
    const options = example(union(sinks(3), window({ left: 30, right: 30, dilation: 6 })), 2);
    await using alone = await createDevice({ build, threads: 1, leastGain: ALWAYS });
    expect(await both(options, alone)).toEqual(await both(options));
  });

  it('does not depend on which thread computes what: a head is done in one pass before the next takes it up', async () => {
    const pattern = union(strided(30), window({ left: 30, right: 30, dilation: 6 }), window(40));
    const options = example(pattern, 6);
    expect(arrangeMask(compileMask(pattern, { queries: 900, keys: 900, heads: 6 }), ALWAYS)).toHaveLength(3);
    await using alone = await createDevice({ build, threads: 1, leastGain: ALWAYS });
    await using many = await createDevice({ build, threads: 7, leastGain: ALWAYS });
    const want = await alone.attention(options);
    for (let i = 0; i < 30; i++) expect(await many.attention(options)).toEqual(want);
  });

  it('streams heads that are too many to copy at once', async () => {
    const options = example(perHead([strided(25), window({ left: 9, dilation: 7 }), causal()]), 4);
    await using frugal = await createDevice({ build, threads: 2, leastGain: ALWAYS, copyBytes: 1000 });
    const [got, want] = [await both(options, frugal), await both(options)];
    for (const name of ['output', 'gradQ', 'gradK', 'gradV'] as const) {
      expectClose(name, got[name].data, Float64Array.from(want[name].data), TOLERANCE);
    }
  });

  it('drops the pairs that the natural order drops', async () => {
    const options = { ...example(strided(30), 1), dropout: { rate: 0.3, seed: 5 } };
    await using natural = await createDevice({ build, threads: 2, leastGain: NEVER });
    const [got, want] = [await both(options), await both(options, natural)];
    for (const name of ['output', 'gradQ', 'gradK', 'gradV'] as const) {
      expectClose(name, got[name].data, Float64Array.from(want[name].data), TOLERANCE);
    }
    expect(got.output.data).not.toEqual(want.output.data);
  });

  it.each([ALWAYS, NEVER])(
    'keeps what is not a number to the gradients that depend on it, least gain %s',
    async (leastGain) => {
      await using own = await createDevice({ build, threads: 2, leastGain });
      const spoiled = fc.record({
        problem,
        which: fc.constantFrom('q' as const, 'k' as const, 'v' as const, 'gradOutput' as const),
        place: fc.nat(),
      });
      await fc.assert(
        fc.asyncProperty(spoiled, async ({ problem: p, which, place }) => {
          const { pattern: _, ...others } = optionsOf({ ...p, softcap: undefined, dropout: undefined });
          const { queries, keys } = p;
          const mask = compileMask(p.pattern, { queries, keys, heads: p.groups * p.perGroup, length: Infinity });
          const options = { ...others, mask };
          const { data } = options[which];
          data[place % data.length] = Number.NaN;
          const got = await both(options, own);
          const want = referenceGradients({ ...options, ...got });
          for (const name of ['gradQ', 'gradK', 'gradV'] as const) {
            for (let i = 0; i < want[name].length; i++) {
              if (Number.isFinite(want[name][i]) && !Number.isFinite(got[name].data[i]))
                expect.fail(`${name} at ${i} is ${got[name].data[i]}`);
            }
          }
        }),
        { numRuns: 25 },
      );
    },
  );

  it.each([ALWAYS, NEVER])('writes gradients over q, k and v where it is told to, least gain %s', async (leastGain) => {
    await using own = await createDevice({ build, threads: 2, leastGain });
    const shared = (like: Tensor): Tensor => {
      const data = own.allocate(like.data.length);
      data.set(like.data);
      return { ...like, data };
    };
    const property = fc.asyncProperty(problem, async (p) => {
      const { pattern: _, ...others } = optionsOf(p);
      const { queries, keys } = p;
      const mask = compileMask(p.pattern, { queries, keys, heads: p.groups * p.perGroup, length: Infinity });
      const options = { ...others, mask };
      const result = await own.attention(options);
      const want = await own.attentionGradients({ ...options, ...result });
      for (const place of [shared, (like: Tensor) => ({ ...like, data: like.data.slice() })]) {
        const [q, k, v] = [place(options.q), place(options.k), place(options.v)];
        const got = await own.attentionGradients({ ...options, ...result, q, k, v, gradQ: q, gradK: k, gradV: v });
        expect([q.data, k.data, v.data]).toEqual([want.gradQ.data, want.gradK.data, want.gradV.data]);
        expect(got.gradQ.data).toBe(q.data);
        if (place === shared) for (const { data } of [q, k, v]) own.release(data);
      }
    });
    await fc.assert(property, { numRuns: 25 });
  });

  it.each(['q', 'k', 'v'] as const)('keeps what is not a number in %s to the rows that see it', async (which) => {
    const pattern = union(sinks(2), window(10), window({ left: 30, right: 30, dilation: 8 }));
    const options = example(pattern, 1);
    options[which].data.fill(Number.NaN, 64 * 500, 64 * 501);
    const { output } = await device.attention(options);
    for (let q = 0; q < 900; q++) {
      const sees = which === 'q' ? q === 500 : allows(pattern, { head: 0, q, k: 500 });
      expect(Number.isNaN(output.data[64 * q]), `row ${q}`).toBe(sees);
    }
  });
});

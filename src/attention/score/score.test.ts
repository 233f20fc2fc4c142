import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { causal, intersect, window } from '../../pattern/index.ts';
import {
  type AttentionOptions,
  additiveBias,
  alibi,
  alibiSlopes,
  createDevice,
  type Expression,
  expression as e,
  referenceAttention,
  referenceGradients,
  relativePositions,
  type ScoreModifier,
  softcap,
  type Tensor,
  t5Buckets,
  type WasmDevice,
} from '../index.ts';
import { candidateBuilds } from '../wasm/choose-build.ts';
import { findPlatform } from '../wasm/platform.ts';

/** Numbers in [-2, 2) from a linear congruential generator. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 30 - 2;
  });
}

function tensor(shape: [number, number, number, number], seed: number): Tensor {
  return { data: numbers(shape[0] * shape[1] * shape[2] * shape[3], seed), shape };
}

/** Differences count relative to the greatest number, or to 1. */
function expectClose(name: string, got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number): void {
  expect(got.length, name).toBe(want.length);
  let size = 1;
  for (let i = 0; i < want.length; i++) if (Number.isFinite(want[i])) size = Math.max(size, Math.abs(want[i]));
  for (let i = 0; i < want.length; i++) {
    if (Object.is(got[i], want[i]) || Math.abs(got[i] - want[i]) <= tolerance * size) continue;
    expect.fail(`${name} at ${i}: got ${got[i]}, want ${want[i]}`);
  }
}

const builds = ['baseline', ...candidateBuilds(await findPlatform()).filter((build) => build !== 'baseline')] as const;

/**
 * Whole numbers from the positions: exact in float32, so that steps fall where they do in float64. As an index a leaf must not run
 * over the end of its axis; mul(leaf, 1) may, and is the leaf again in the compiled graph.
 */
const { exact, real } = fc.letrec<{ exact: Expression; truth: Expression; real: Expression }>((tie) => {
  const pair = (name: 'exact' | 'real') => fc.tuple(tie(name), tie(name));
  return {
    exact: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'exact' },
      fc.constantFrom<Expression>(e.q, e.k, e.row, e.head, e.batch, e.sub(e.k, e.q), e.constant(3)),
      fc.tuple(fc.constantFrom(e.add, e.sub, e.min, e.max), pair('exact')).map(([op, [x, y]]) => op(x, y)),
      fc.tuple(fc.constantFrom(e.neg, e.abs), tie('exact')).map(([op, x]) => op(x)),
      tie('exact').map((x) => e.floor(e.div(x, 8))),
    ),
    truth: fc
      .tuple(fc.constantFrom(e.less, e.lessEqual, e.greater, e.greaterEqual, e.equal, e.notEqual), pair('exact'))
      .map(([op, [x, y]]) => op(x, y)),
    real: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'real' },
      fc.constantFrom<Expression>(e.score, e.constant(-0.75)),
      tie('exact').map((x) => e.div(x, 64)),
      fc.constantFrom(e.head, e.row, e.k, e.add(e.sub(e.k, e.q), 20)).map((x) => e.lookup('line', e.mul(x, 1))),
      fc.tuple(tie('exact'), tie('exact')).map(([x, y]) => e.lookup('table', e.mul(x, 1), e.mul(y, 1))),
      fc.tuple(tie('exact'), tie('exact')).map(([x, y]) => e.lookup('cube', e.mul(x, 1), e.head, e.mul(y, 1))),
      fc.tuple(fc.constantFrom(e.add, e.sub, e.min, e.max), pair('real')).map(([op, [x, y]]) => op(x, y)),
      pair('real').map(([x, y]) => e.mul(x, e.tanh(y))),
      pair('real').map(([x, y]) => e.div(x, e.add(e.abs(y), 1))),
      tie('real').map((x) => e.exp(e.min(x, 1))),
      tie('real').map((x) => e.log(e.add(e.abs(x), 1))),
      tie('real').map((x) => e.neg(x)),
      fc.tuple(tie('truth'), tie('real'), tie('real')).map(([c, x, y]) => e.select(c, x, y)),
      tie('truth'),
    ),
  };
});

function modifierOf(root: Expression, seed: number): ScoreModifier {
  const all = {
    line: { data: numbers(300, seed + 10), shape: [300] },
    table: { data: numbers(7 * 5, seed + 11), shape: [7, 5] },
    cube: { data: numbers(4 * 6 * 9, seed + 12), shape: [4, 6, 9] },
  };
  const text = JSON.stringify(root);
  return {
    expression: JSON.parse(text),
    parameters: Object.fromEntries(Object.entries(all).filter(([name]) => text.includes(`"${name}"`))),
  };
}

describe.each(builds)('score modifiers on the wasm build %s', (build) => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ build, threads: 2 });
  });
  afterAll(() => device.dispose());

  async function compare(options: AttentionOptions, own = device, tolerance = 2e-5): Promise<void> {
    const { output, lse } = await own.attention(options);
    const want = referenceAttention(options);
    expectClose('output', output.data, want.output, tolerance);
    expectClose('lse', lse, want.lse, tolerance);
    const gradOutput: Tensor = { ...output, data: numbers(output.data.length, 77) };
    const gradLse = numbers(lse.length, 78);
    const got = await own.attentionGradients({ ...options, output, lse, gradOutput, gradLse });
    const grad = referenceGradients({ ...options, gradOutput, gradLse });
    expectClose('gradQ', got.gradQ.data, grad.gradQ, tolerance);
    expectClose('gradK', got.gradK.data, grad.gradK, tolerance);
    expectClose('gradV', got.gradV.data, grad.gradV, tolerance);
    const names = Object.keys(grad.gradParameters);
    expect(Object.keys(got.gradParameters ?? {}).sort()).toEqual(names.sort());
    for (const name of names) expectClose(name, got.gradParameters?.[name] ?? [], grad.gradParameters[name], tolerance);
  }

  it('agree with the float64 definition for any expression, with their gradients', async () => {
    const problem = fc.record({
      batch: fc.integer({ min: 1, max: 2 }),
      groups: fc.integer({ min: 1, max: 2 }),
      perGroup: fc.integer({ min: 1, max: 2 }),
      queries: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 140 })),
      keys: fc.integer({ min: 1, max: 140 }),
      root: real,
      cap: fc.option(fc.constant(6), { nil: undefined }),
      rate: fc.constantFrom(0, 0, 0.3),
      causal: fc.boolean(),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(problem, async ({ batch, groups, perGroup, queries, keys, root, cap, rate, seed, ...p }) => {
        const heads = groups * perGroup;
        await compare({
          q: tensor([batch, heads, queries, 12], seed),
          k: tensor([batch, groups, keys, 12], seed + 1),
          v: tensor([batch, groups, keys, 9], seed + 2),
          pattern: p.causal ? intersect(causal(), window(70)) : { kind: 'dense' },
          // Bounded, so that float32 rounds the scores by 1e-6 at most.
          score: modifierOf(e.add(e.mul(e.tanh(e.div(root, 4)), 4), e.mul(e.score, 0.25)), seed),
          ...(cap === undefined ? {} : { softcap: cap }),
          dropout: { rate, seed },
        });
      }),
      { numRuns: 50 },
    );
  });

  /** A query of width 1 with one key 1: lse is the modified score, and its gradient the slope. */
  async function valuesAndSlopes(
    f: Expression,
    at: Float32Array,
  ): Promise<{ values: Float32Array; slopes: Float32Array }> {
    const one: Tensor = { data: new Float32Array([1]), shape: [1, 1, 1, 1] };
    const q: Tensor = { data: at, shape: [1, 1, at.length, 1] };
    const options = { q, k: one, v: one, scale: 1, score: { expression: f } };
    const { output, lse } = await device.attention(options);
    const gradOutput = { ...output, data: new Float32Array(at.length) };
    const gradLse = new Float32Array(at.length).fill(1);
    const { gradQ } = await device.attentionGradients({ ...options, output, lse, gradOutput, gradLse });
    return { values: lse, slopes: gradQ.data };
  }

  const x = e.score;
  const span = (low: number, high: number) =>
    Float32Array.from({ length: 1000 }, (_, i) => low + ((high - low) * (i + 0.37)) / 1000);
  const functions: [string, Expression, Float32Array, (x: number) => number, (x: number) => number][] = [
    ['exp', e.exp(x), span(-87, 87), Math.exp, Math.exp],
    ['log', e.log(x), span(0, 1e4), Math.log, (t) => 1 / t],
    ['log of small numbers', e.log(e.exp(x)), span(-87, 40), (t) => t, () => 1],
    ['tanh', e.tanh(x), span(-9, 9), Math.tanh, (t) => 1 - Math.tanh(t) ** 2],
    ['floor', e.floor(x), span(-9, 9), Math.floor, () => 0],
    ['abs', e.abs(x), span(-9, 9), Math.abs, Math.sign],
    ['neg', e.neg(x), span(-9, 9), (t) => -t, () => -1],
    ['div', e.div(3, x), span(-9, 9), (t) => 3 / t, (t) => -3 / t ** 2],
    ['min', e.min(x, 2), span(-9, 9), (t) => Math.min(t, 2), (t) => Number(t < 2)],
    ['max', e.max(2, x), span(-9, 9), (t) => Math.max(t, 2), (t) => Number(t > 2)],
    ['clamp', e.clamp(x, -1, 2), span(-9, 9), (t) => Math.min(2, Math.max(-1, t)), (t) => Number(t > -1 && t < 2)],
    ['comparison', e.mul(e.greaterEqual(x, 1), 7), span(-9, 9), (t) => (t >= 1 ? 7 : 0), () => 0],
    [
      'select by a number',
      e.select(e.floor(x), e.mul(x, x), e.neg(x)),
      span(-3, 3),
      (t) => (t >= 0 && t < 1 ? -t : t * t),
      (t) => (t >= 0 && t < 1 ? -1 : 2 * t),
    ],
  ];
  it.each(functions)('%s: values and slopes', async (_, f, at, value, slope) => {
    const { values, slopes } = await valuesAndSlopes(f, at);
    for (let i = 0; i < at.length; i++) {
      const [wantValue, wantSlope] = [value(at[i]), slope(at[i])];
      const size = Math.max(1, Math.abs(wantValue));
      expect(Math.abs(values[i] - wantValue), `value at ${at[i]}`).toBeLessThan(4e-7 * size);
      // The probability 1 is recomputed as exp(value - lse), both rounded to float32.
      if (size > 100) continue;
      // Differences of numbers near 1: a unit or two in the last place, doubled.
      const allowed = 1e-6 * size * Math.max(1, Math.abs(wantSlope));
      expect(Math.abs(slopes[i] - wantSlope), `slope at ${at[i]}`).toBeLessThan(allowed);
    }
  });

  const shape: [number, number, number, number] = [2, 4, 100, 16];
  const plain = { q: tensor(shape, 1), k: tensor(shape, 2), v: tensor(shape, 3) };
  const distance = e.sub(e.k, e.q);
  const modifiers: [string, ScoreModifier][] = [
    ['alibi', alibi({ slopes: alibiSlopes(4) })],
    ['a table clipped at its ends', relativePositions({ data: numbers(4 * 31, 4), shape: [4, 31] })],
    ['T5 buckets', t5Buckets({ table: { data: numbers(32 * 4, 5), shape: [32, 4] }, bidirectional: true })],
    [
      'several biases of the distance, beside other numbers',
      {
        // Lines whose gradients need each other's values, a comparison, and a look-up by the distance and the key.
        expression: e.add(
          e.add(e.score, e.mul(e.lookup('near', e.abs(e.sub(e.q, e.k))), e.lookup('far', e.head, e.add(distance, 40)))),
          e.add(
            e.mul(e.lookup('near', e.neg(distance)), e.tanh(e.score)),
            e.select(
              e.less(distance, -3),
              e.lookup('both', e.neg(distance), e.k),
              e.mul(e.greater(distance, 5), e.score),
            ),
          ),
        ),
        parameters: {
          near: { data: numbers(60, 8), shape: [60] },
          far: { data: numbers(4 * 81, 9), shape: [4, 81] },
          both: { data: numbers(30 * 100, 10), shape: [30, 100] },
        },
      },
    ],
    ['a bias of every pair', additiveBias({ data: numbers(4 * 100 * 100, 6), shape: [4, 100, 100] })],
    ['a bias of every batch entry', additiveBias({ data: numbers(2 * 100, 6), shape: [2, 1, 1, 100] })],
    ['a bias of every query', additiveBias({ data: numbers(100, 6), shape: [1, 100, 1] })],
    [
      'one table, read both ways round',
      {
        expression: e.add(e.score, e.add(e.lookup('pairs', e.q, e.k), e.lookup('pairs', e.k, e.q))),
        parameters: { pairs: { data: numbers(100 * 100, 7), shape: [100, 100] } },
      },
    ],
  ];
  it.each(modifiers)('%s: the same bits on any number of threads, and head by head', async (_, score) => {
    const options = { ...plain, pattern: window(50), score, dropout: { rate: 0.2, seed: 11 } };
    await compare(options);
    const run = async (own: WasmDevice) => {
      const { output, lse } = await own.attention(options);
      const gradOutput = { ...output, data: numbers(output.data.length, 8) };
      return { output, lse, ...(await own.attentionGradients({ ...options, output, lse, gradOutput })) };
    };
    await using alone = await createDevice({ build, threads: 1 });
    expect(await run(alone)).toEqual(await run(device));
    // A part of the heads at a time: heads, batch entries and their parameters must still be the whole problem's.
    await using frugal = await createDevice({ build, threads: 2, copyBytes: 1000 });
    await compare(options, frugal);
  });

  it('parameters of rows that lie in several segments of the backward pass', async () => {
    const rows = 1100;
    const long: [number, number, number, number] = [1, 1, rows, 8];
    const line = { data: numbers(rows, 6), shape: [rows] };
    const short = { data: numbers(40, 6), shape: [40] };
    const near = { q: tensor(long, 1), k: tensor(long, 2), v: tensor(long, 3), pattern: window(6) };
    for (const [index, parameter] of [
      [e.row, line],
      [e.k, line],
      // Not a leaf as it is written, but in the compiled graph: long enough for no row, so segments must not share its gradient.
      [e.mul(e.row, 1), short],
    ] as const) {
      const score = { expression: e.add(e.score, e.lookup('line', index)), parameters: { line: parameter } };
      await compare({ ...near, score });
    }
    const square = { data: numbers(rows * rows, 7), shape: [rows, rows] };
    const both = e.add(e.lookup('square', e.q, e.k), e.lookup('square', e.k, e.q));
    await compare({ ...near, score: { expression: e.add(e.score, both), parameters: { square } } });
  });

  it('that are infinite or NaN for masked pairs leave the others alone', async () => {
    const score = { expression: e.add(e.score, e.log(e.add(e.sub(e.q, e.k), 0.5))) };
    await compare({ ...plain, pattern: causal(), score });
    const bias = numbers(100 * 100, 9);
    for (let i = 0; i < bias.length; i += 3) bias[i] = -Infinity;
    bias.fill(-Infinity, 0, 100);
    const masked = { ...plain, score: additiveBias({ data: bias, shape: [1, 100, 100] }) };
    await compare(masked);
    const { output, lse } = await device.attention(masked);
    expect(lse[0]).toBe(-Infinity);
    expect(output.data.subarray(0, 16).every((value) => value === 0)).toBe(true);
  });

  it('a soft cap as a modifier gives the bits of the option', async () => {
    const modifier = await device.attention({ ...plain, score: softcap(5) });
    const option = await device.attention({ ...plain, softcap: 5 });
    expect(modifier).toEqual(option);
    expectClose('output', option.output.data, referenceAttention({ ...plain, score: softcap(5) }).output, 4e-6);
  });

  it('are compiled once for equal expressions, and take turns with others', async () => {
    const slopes = alibi({ slopes: alibiSlopes(4) });
    const same = await Promise.all([1, 2].map(() => device.instance(alibi({ slopes: alibiSlopes(8) }).expression)));
    expect(new Set([...same, await device.instance(slopes.expression)]).size).toBe(1);
    const runs = [slopes, softcap(3), undefined, modifiers[1][1], slopes].map((score) => ({
      ...plain,
      ...(score ? { score } : {}),
    }));
    const results = await Promise.all(runs.map((options) => device.attention(options)));
    for (const [i, { output }] of results.entries())
      expectClose(`run ${i}`, output.data, referenceAttention(runs[i]).output, 1e-5);
  });
});

it('indices that are not whole or not finite are cut and clamped', () => {
  fc.assert(
    fc.property(exact, fc.nat(), (index, seed) => {
      const score: ScoreModifier = {
        expression: e.lookup('line', e.div(index, 0)),
        parameters: { line: { data: numbers(5, seed), shape: [5] } },
      };
      const one: Tensor = { data: new Float32Array([1, 1]), shape: [1, 1, 2, 1] };
      const { lse } = referenceAttention({ q: one, k: one, v: one, score, pattern: { kind: 'causal' } });
      // 0 / 0 counts as 0; infinities end at the borders.
      expect([score.parameters?.line.data[0], score.parameters?.line.data[4]]).toContain(lse[0]);
    }),
  );
});

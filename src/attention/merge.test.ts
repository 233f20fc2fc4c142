import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { causal, type Pattern, shift, union, window } from '../pattern/index.ts';
import { createDevice } from './attention.ts';
import { mergeAttention } from './merge.ts';
import { referenceAttention } from './reference.ts';
import { referenceGradients } from './reference-gradients.ts';
import { fromStorage, toStorage } from './storage.ts';
import type { AttentionOptions, AttentionResult, GradientOptions, Tensor } from './types.ts';
import type { WasmDevice } from './wasm/device.ts';

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

/** Keys start .. end - 1 of each head. */
function keysOf({ data, shape }: Tensor, start: number, end: number): Tensor {
  const [b, g, m, d] = shape;
  const parts = Array.from({ length: b * g }, (_, i) => [...data.subarray((i * m + start) * d, (i * m + end) * d)]);
  return { data: Float32Array.from(parts.flat()), shape: [b, g, end - start, d] };
}

/** The same tensor as [B, N, H, D]. */
function turned({ data, shape }: Tensor): Tensor {
  const [b, h, n, d] = shape;
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const [x, row, head, batch] = [
      i % d,
      Math.floor(i / d) % n,
      Math.floor(i / (d * n)) % h,
      Math.floor(i / (d * n * h)),
    ];
    out[((batch * n + row) * h + head) * d + x] = data[i];
  }
  return { data: out, shape: [b, n, h, d], layout: 'BNHD' };
}

function expectClose(got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number): void {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < want.length; i++) {
    const near = Object.is(got[i], want[i]) || Math.abs(got[i] - want[i]) <= tolerance * Math.max(1, Math.abs(want[i]));
    if (!near) expect.fail(`at ${i}: got ${got[i]}, want ${want[i]}`);
  }
}

describe('mergeAttention', () => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ threads: 2 });
  });
  afterAll(() => device.dispose());

  const [heads, groups, width] = [4, 2, 8];
  const problem = fc.record({
    batch: fc.integer({ min: 1, max: 2 }),
    queries: fc.integer({ min: 1, max: 90 }),
    keys: fc.integer({ min: 0, max: 160 }),
    cuts: fc.array(fc.nat(), { maxLength: 3 }),
    pattern: fc.constantFrom<Pattern>(
      { kind: 'dense' },
      causal(),
      union(window({ left: 30 }), { kind: 'sinks', count: 3 }),
    ),
    seed: fc.nat(),
  });
  type Case = typeof problem extends fc.Arbitrary<infer T> ? T : never;

  /** The whole problem, and the same over the keys between random cuts. */
  function split({ batch, queries, keys, cuts, pattern, seed }: Case): {
    whole: AttentionOptions;
    parts: AttentionOptions[];
  } {
    const q = tensor([batch, heads, queries, width], seed);
    const k = tensor([batch, groups, keys, width], seed + 1);
    const v = tensor([batch, groups, keys, 5], seed + 2);
    const edges = [0, ...cuts.map((cut) => cut % (keys + 1)).sort((a, b) => a - b), keys];
    const parts = edges.slice(1).map((end, i) => {
      const start = edges[i];
      // In a part key `start` stands at 0, and the last query at the part's last key.
      const own = shift(pattern, { queries: end - start - keys, keys: -start });
      return { q, k: keysOf(k, start, end), v: keysOf(v, start, end), pattern: own };
    });
    return { whole: { q, k, v, pattern }, parts };
  }

  it('gives what attention over all keys gives, wherever they are split, in any layout', async () => {
    await fc.assert(
      fc.asyncProperty(problem, fc.boolean(), async (p, isTurned) => {
        const { whole, parts } = split(p);
        const results: AttentionResult[] = [];
        for (const [i, options] of parts.entries()) {
          const { output, lse } = await device.attention(options);
          results.push({ output: isTurned && i % 2 === 0 ? turned(output) : output, lse });
        }
        const merged = mergeAttention(results);
        const want = referenceAttention(whole);
        const wanted: Tensor = { data: Float32Array.from(want.output), shape: [p.batch, heads, p.queries, 5] };
        expect(merged.output.shape).toEqual(results[0].output.shape);
        expect(merged.output.layout).toBe(results[0].output.layout);
        expectClose(merged.output.data, (isTurned ? turned(wanted) : wanted).data, 4e-6);
        expectClose(merged.lse, want.lse, 4e-6);
      }),
      { numRuns: 60 },
    );
  });

  it('is associative, and does not depend on the order, within rounding', async () => {
    await fc.assert(
      fc.asyncProperty(problem, async (p) => {
        const { parts } = split({ ...p, cuts: [p.seed, p.seed >> 3, p.seed >> 5] });
        const [a, b, c, d] = await Promise.all(parts.map((options) => device.attention(options)));
        const flat = mergeAttention([a, b, c, d]);
        for (const other of [
          mergeAttention([mergeAttention([a, b]), mergeAttention([c, d])]),
          mergeAttention([a, mergeAttention([b, mergeAttention([c, d])])]),
          mergeAttention([d, b, a, c]),
        ]) {
          expectClose(other.output.data, flat.output.data, 3e-7);
          expectClose(other.lse, flat.lse, 3e-7);
        }
      }),
      { numRuns: 40 },
    );
  });

  const row = (lse: number, ...values: number[]): AttentionResult => ({
    output: { data: new Float32Array(values), shape: [1, 1, 1, values.length] },
    lse: new Float32Array([lse]),
  });

  it('does not count parts without a key, keeps far scores apart, and lets NaN through', () => {
    expect(mergeAttention([row(-Infinity, NaN, 3), row(2, 5, 6), row(-Infinity, 0, 0)])).toEqual({
      output: { data: new Float32Array([5, 6]), shape: [1, 1, 1, 2], layout: 'BHND' },
      lse: new Float32Array([2]),
    });
    const none = mergeAttention([row(-Infinity, 7), row(-Infinity, 8)]);
    expect([none.lse[0], none.output.data[0]]).toEqual([-Infinity, 0]);
    const far = mergeAttention([row(900, 1), row(-900, 2), row(900, 3)]);
    expect([far.lse[0], far.output.data[0]]).toEqual([Math.fround(900 + Math.log(2)), 2]);
    const bad = mergeAttention([row(NaN, 1), row(0, 2)]);
    expect([bad.lse[0], bad.output.data[0]]).toEqual([NaN, NaN]);
    const badValue = mergeAttention([row(1, NaN, 1), row(1, 2, 3)]);
    expect([...badValue.output.data]).toEqual([NaN, 2]);
    expect(badValue.lse[0]).toBeCloseTo(1 + Math.log(2), 6);
  });

  it.each(['f16', 'bf16'] as const)('takes parts in %s', (type) => {
    const parts = [1, 2, 3].map((seed) => ({ output: tensor([2, 3, 5, 4], seed), lse: numbers(30, seed + 9) }));
    const stored = parts.map(({ output, lse }) => ({
      output: { ...output, data: toStorage(output.data, type), type },
      lse,
    }));
    const widened = stored.map(({ output, lse }) => ({
      output: { data: fromStorage(output.data, type), shape: output.shape },
      lse,
    }));
    expect(mergeAttention(stored)).toEqual(mergeAttention(widened));
    expect(mergeAttention(stored)).not.toEqual(mergeAttention(parts));
  });

  it('has the gradients that its comment says', async () => {
    const { whole, parts } = split({ batch: 2, queries: 40, keys: 90, cuts: [20, 70], pattern: causal(), seed: 5 });
    const results = await Promise.all(parts.map((options) => device.attention(options)));
    const { output, lse } = mergeAttention(results);
    const gradOutput: Tensor = { ...output, data: numbers(output.data.length, 8) };
    const gradLse = numbers(lse.length, 9);
    const want = referenceGradients({ ...whole, gradOutput, gradLse });
    /** Of all keys, from those of the parts. */
    const joined = (tensors: readonly Tensor[]) =>
      Array.from({ length: 2 * groups }, (_, i) =>
        tensors.map(({ data, shape: [, , m, d] }) => [...data.subarray(i * m * d, (i + 1) * m * d)]),
      ).flat(2);
    const check = async (gradients: (i: number) => GradientOptions) => {
      const got = await Promise.all(parts.map((_, i) => device.attentionGradients(gradients(i))));
      const gradQ = got[0].gradQ.data.map((_, i) => got.reduce((sum, { gradQ }) => sum + gradQ.data[i], 0));
      expectClose(gradQ, want.gradQ, 2e-5);
      expectClose(joined(got.map(({ gradK }) => gradK)), want.gradK, 2e-5);
      expectClose(joined(got.map(({ gradV }) => gradV)), want.gradV, 2e-5);
    };
    await check((i) => ({ ...parts[i], output, lse, gradOutput, gradLse }));
    await check((i) => {
      const own = results[i];
      const shares = own.lse.map((value, r) => Math.exp(value - lse[r]));
      const share = (e: number) => shares[Math.floor(e / 5)];
      return {
        ...parts[i],
        ...own,
        gradOutput: { ...gradOutput, data: gradOutput.data.map((value, e) => value * share(e)) },
        gradLse: gradLse.map((value, r) => {
          let dot = 0;
          for (let e = 5 * r; e < 5 * r + 5; e++) dot += gradOutput.data[e] * (own.output.data[e] - output.data[e]);
          return shares[r] * (value + dot);
        }),
      };
    });
  });

  it('refuses parts that do not fit each other', () => {
    const fail = (parts: AttentionResult[], message: RegExp) => {
      expect(() => mergeAttention(parts)).toThrow(ArgumentError);
      expect(() => mergeAttention(parts)).toThrow(message);
    };
    fail([], /there are no parts/);
    fail([row(0, 1), row(0, 1, 2)], /output of part 1 is \[1, 1, 1, 2\], that of part 0 \[1, 1, 1, 1\]/);
    fail([row(0, 1), { ...row(0, 1), lse: new Float32Array(2) }], /lse of part 1 must be \[1, 1, 1\], got 2 numbers/);
    const short = row(0, 1);
    fail(
      [{ ...short, output: { ...short.output, data: new Float32Array(3) } }],
      /part 0 has 3 numbers, its shape needs 1/,
    );
  });
});

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { causal, dense, intersect, perHead, sinks, strided, union, window } from '../pattern/index.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { createDevice } from './attention.ts';
import { referenceAttention } from './reference.ts';
import { additiveBias } from './score/index.ts';
import { fromStorage, toStorage } from './storage.ts';
import type { AnyAttentionOptions, AnyGradientOptions, NumberArray, NumberType, Tensor } from './types.ts';
import { candidateBuilds } from './wasm/choose-build.ts';
import type { WasmDevice } from './wasm/device.ts';
import { findPlatform } from './wasm/platform.ts';

type Half = 'f16' | 'bf16';
const HALVES: readonly Half[] = ['f16', 'bf16'];

/** The engine's own, where it has one. */
const { Float16Array: Float16 } = globalThis as { Float16Array?: typeof Float16Array };

const everyPattern = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** Every f16 and bf16 number, the middle between each and the next, and the float32 next to the middle on either side. */
const hardCases = (() => {
  const bits: number[] = [];
  for (const type of HALVES) {
    const words = new Uint32Array(fromStorage(everyPattern, type).buffer);
    for (let i = 0; i < 65536; i++) {
      // Sign and magnitude: the middle of two neighbours of one sign is the middle of their bits.
      const middle =
        (words[i] & 0x80000000) === (words[(i + 1) & 65535] & 0x80000000) ? (words[i] + words[i + 1]) / 2 : words[i];
      bits.push(words[i], Math.floor(middle) - 1, Math.floor(middle), Math.floor(middle) + 1);
    }
  }
  return new Float32Array(Uint32Array.from(bits).buffer);
})();

/** The nearest number of a type by its definition: of the two around x the nearer, of two equally near the even one. */
function nearest(x: number, type: Half): number {
  const [digits, least, greatest] = type === 'f16' ? [11, 2 ** -24, 65504] : [8, 2 ** -133, (2 - 2 ** -7) * 2 ** 127];
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  // log2 rounds: of a number just below a power of two it may be the power's.
  const whole = Math.abs(x) < 2 ** exponent ? exponent - 1 : exponent;
  const unit = Math.max(least, 2 ** (whole - digits + 1));
  const scaled = x / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = (rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor) * unit;
  return Math.abs(rounded) > greatest ? Math.sign(x) * Infinity : rounded;
}

function same(got: ArrayLike<number>, want: ArrayLike<number>): void {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < want.length; i++) {
    if (got[i] !== want[i] && !(Number.isNaN(got[i]) && Number.isNaN(want[i])))
      expect.fail(`at ${i}: got ${got[i]}, want ${want[i]}`);
  }
}

describe('toStorage() and fromStorage()', () => {
  it.skipIf(!Float16)('of f16 agree with Float16Array', () => {
    if (!Float16) return;
    same(fromStorage(everyPattern, 'f16'), new Float16(everyPattern.buffer));
    same(fromStorage(toStorage(hardCases, 'f16'), 'f16'), new Float16(hardCases));
  });

  it.each(HALVES)('of %s round to the nearest, ties to even', (type) => {
    const got = fromStorage(toStorage(hardCases, type), type);
    const want = hardCases.map((x) => (Number.isFinite(x) && x !== 0 ? nearest(x, type) : x));
    same(got, want);
  });

  it.each(HALVES)('of %s bring every number back with its bits, NaN as a NaN', (type) => {
    const values = fromStorage(everyPattern, type);
    const back = toStorage(values, type);
    for (let i = 0; i < 65536; i++) {
      if (Number.isNaN(values[i])) expect(Number.isNaN(fromStorage(back.subarray(i, i + 1), type)[0])).toBe(true);
      else expect(back[i]).toBe(i);
    }
  });

  it('of bf16 take the upper half', () => {
    same(
      fromStorage(everyPattern, 'bf16'),
      new Float32Array(Uint32Array.from(everyPattern, (bits) => bits << 16).buffer),
    );
  });

  it('say what is wrong', () => {
    expect(() => toStorage(new Float32Array(3), 'f8' as Half)).toThrow(/type must be 'f16' or 'bf16', got 'f8'/);
    expect(() => toStorage(new Float32Array(3), 'f16', new Uint16Array(2))).toThrow(/room for 2 numbers, values has 3/);
    expect(() => fromStorage(new Uint16Array(3), 'f32' as Half)).toThrow(ArgumentError);
  });
});

/** Numbers in [-2, 2) from a linear congruential generator. */
function numbers(length: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 30 - 2;
  });
}

type Stored = Tensor<NumberArray>;

function stored(
  values: Float32Array,
  type: NumberType,
  shape: Tensor['shape'],
  layout: Tensor['layout'] = 'BHND',
): Stored {
  return type === 'f32' ? { data: values, shape, layout } : { data: toStorage(values, type), type, shape, layout };
}

function widened({ data, type, shape, layout }: Stored): Tensor {
  const values = type === 'f16' || type === 'bf16' ? fromStorage(data as Uint16Array, type) : (data as Float32Array);
  return { data: values, shape, layout };
}

/** What a type keeps of float32 numbers. */
function rounded(values: Float32Array, type: NumberType = 'f32'): Float32Array {
  return type === 'f32' ? values : fromStorage(toStorage(values, type), type);
}

/** An AnyAttentionOptions from small numbers. */
const problem = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  groups: fc.integer({ min: 1, max: 2 }),
  perGroup: fc.integer({ min: 1, max: 3 }),
  queries: fc.oneof(fc.nat(10), fc.nat(200)),
  keys: fc.nat(300),
  width: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(64)),
  valueWidth: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(64)),
  layoutQ: fc.constantFrom('BHND' as const, 'BNHD' as const),
  layoutK: fc.constantFrom('BHND' as const, 'BNHD' as const),
  layoutV: fc.constantFrom('BHND' as const, 'BNHD' as const),
  types: fc.tuple(...Array.from({ length: 5 }, () => fc.constantFrom<NumberType>('f32', 'f16', 'bf16'))),
  pattern: fc.constantFrom<Pattern>(
    dense(),
    causal(),
    window(70),
    window({ left: 160, right: 16, dilation: 8 }),
    perHead([strided(9), window({ left: 30, dilation: 7 }), strided(30)]),
    union(sinks(6), window(33)),
    intersect(causal(), union(sinks(3), window(90))),
  ),
  softcap: fc.option(fc.constant(3), { nil: undefined }),
  biased: fc.boolean(),
  dropped: fc.boolean(),
  sink: fc.boolean(),
  seed: fc.nat(1000),
});

function optionsOf(p: typeof problem extends fc.Arbitrary<infer T> ? T : never): AnyAttentionOptions {
  const { batch, groups, queries, keys, width, valueWidth, types, seed } = p;
  const heads = groups * p.perGroup;
  const tensor = (type: NumberType, h: number, n: number, d: number, layout: 'BHND' | 'BNHD', which: number) => {
    const shape: Tensor['shape'] = layout === 'BHND' ? [batch, h, n, d] : [batch, n, h, d];
    return stored(numbers(batch * h * n * d, seed + which), type, shape, layout);
  };
  return {
    q: tensor(types[0], heads, queries, width, p.layoutQ, 1),
    k: tensor(types[1], groups, keys, width, p.layoutK, 2),
    v: tensor(types[2], groups, keys, valueWidth, p.layoutV, 3),
    pattern: p.pattern,
    ...(p.softcap === undefined ? {} : { softcap: p.softcap }),
    ...(p.biased && queries > 0
      ? { score: additiveBias({ data: numbers(heads * queries, seed), shape: [heads, queries, 1] }) }
      : {}),
    ...(p.dropped ? { dropout: { rate: 0.25, seed } } : {}),
    ...(p.sink ? { sinkLogits: numbers(heads, seed) } : {}),
  };
}

const builds = ['baseline', ...candidateBuilds(await findPlatform()).filter((build) => build !== 'baseline')] as const;

describe.each(builds)('storage on the wasm build %s', (build) => {
  let device: WasmDevice;
  /** Copies one key/value head at a time, and computes in an order of its own wherever that is possible. */
  let small: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ build, threads: 2 });
    small = await createDevice({ build, threads: 1, copyBytes: 1, leastGain: -Infinity });
  });
  afterAll(() => Promise.all([device.dispose(), small.dispose()]));

  /** A single key has the probability 1, so the output is its value: 256 heads of 256 numbers each. */
  async function throughKernel(values: Tensor<NumberArray>, type: NumberType, queries: number): Promise<NumberArray> {
    const ones = (n: number): Tensor => ({ data: new Float32Array(256 * n).fill(1), shape: [1, 256, n, 1] });
    const output = stored(new Float32Array(256 * queries * 256), type, [1, 256, queries, 256]);
    await device.attention({ q: ones(queries), k: ones(1), v: values, output });
    return output.data;
  }

  const lastOf = (values: ArrayLike<number>, queries: number) =>
    Float32Array.from({ length: 65536 }, (_, i) => values[((i >> 8) * queries + queries - 1) * 256 + (i & 255)]);

  it.each(HALVES.flatMap((type) => [1, 9].map((queries) => [type, queries] as const)))(
    'widens all 65,536 numbers of %s exactly, with %d queries',
    async (type, queries) => {
      const v = { data: everyPattern, type, shape: [1, 256, 1, 256] } as const;
      same(lastOf(await throughKernel(v, 'f32', queries), queries), fromStorage(everyPattern, type));
    },
  );

  it.each(HALVES.flatMap((type) => [1, 9].map((queries) => [type, queries] as const)))(
    'rounds to %s as toStorage() does, with %d queries',
    async (type, queries) => {
      for (let from = 0; from < hardCases.length; from += 65536) {
        const values = hardCases.subarray(from, from + 65536);
        const got = await throughKernel({ data: values, shape: [1, 256, 1, 256] }, type, queries);
        const last = Uint16Array.from(lastOf(got, queries));
        same(fromStorage(last, type), fromStorage(toStorage(values, type), type));
      }
    },
  );

  it('gives what f32 gives for the same numbers, rounded once, in any type, layout and shape', async () => {
    await fc.assert(
      fc.asyncProperty(problem, async (p) => {
        const options = optionsOf(p);
        const { q, k, v } = options;
        const wide = { ...options, q: widened(q), k: widened(k), v: widened(v) };
        const type = p.types[3];
        for (const on of [device, small]) {
          const want = await on.attention(wide);
          const own = await on.attention(options);
          expect(own.output.type ?? 'f32').toBe(p.types[0]);
          same(widened(own.output).data, rounded(want.output.data as Float32Array, p.types[0]));
          same(own.lse, want.lse);
          const output = stored(new Float32Array(want.output.data.length), type, want.output.shape, want.output.layout);
          await on.attention({ ...options, output });
          same(widened(output).data, rounded(want.output.data as Float32Array, type));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('gives the gradients that f32 gives for the same numbers, rounded once', async () => {
    await fc.assert(
      fc.asyncProperty(problem, async (p) => {
        const options = optionsOf(p);
        const { q, k, v } = options;
        const { output, lse } = await device.attention(options);
        const gradOutput = stored(numbers(output.data.length, 7), p.types[4], output.shape, output.layout);
        const own: AnyGradientOptions = { ...options, output, lse, gradOutput };
        const wide = {
          ...options,
          q: widened(q),
          k: widened(k),
          v: widened(v),
          output: widened(output),
          lse,
          gradOutput: widened(gradOutput),
        };
        for (const on of [device, small]) {
          const want = await on.attentionGradients(wide);
          const got = await on.attentionGradients(own);
          for (const name of ['gradQ', 'gradK', 'gradV'] as const) {
            const { type } = { gradQ: q, gradK: k, gradV: v }[name];
            expect(got[name].type).toBe(type);
            same(widened(got[name]).data, rounded(want[name].data as Float32Array, type));
          }
          expect(got.gradSinkLogits).toEqual(want.gradSinkLogits);
          expect(got.gradParameters).toEqual(want.gradParameters);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("reads and writes arrays in the kernels' memory, whole or one head at a time", async () => {
    const shape = [2, 130, 4, 24] as const;
    const gradOutput = stored(numbers(2 * 130 * 4 * 24, 9), 'bf16', shape, 'BNHD');
    const run = async (on: WasmDevice, place: (which: number) => Stored) => {
      const [q, k, v, output] = [place(1), place(2), place(3), place(4)];
      const { lse } = await on.attention({ q, k, v, output, pattern: causal() });
      const gradients = await on.attentionGradients({ q, k, v, output, lse, gradOutput, pattern: causal() });
      return [output, gradients.gradQ, gradients.gradK, gradients.gradV].map(widened);
    };
    const array = (which: number) => stored(numbers(2 * 130 * 4 * 24, which), 'f16', shape, 'BNHD');
    const want = await run(device, array);
    const inPlace = (on: WasmDevice, which: number): Stored => {
      const data = on.allocate(2 * 130 * 4 * 24, 'f16');
      data.set(array(which).data as Uint16Array);
      return { ...array(which), data };
    };
    for (const on of [device, small]) {
      const before = on.heap.used;
      const taken: Stored[] = [];
      const take = (which: number) => {
        const tensor = inPlace(on, which);
        taken.push(tensor);
        return tensor;
      };
      expect(await run(on, take)).toEqual(want);
      // Some of it here, some copied one head at a time: their strides differ.
      expect(await run(on, (which) => (which % 2 === 0 ? take(which) : array(which)))).toEqual(want);
      for (const { data } of taken) on.release(data);
      expect(on.heap.used).toBeLessThanOrEqual(before + 65536);
    }
  });

  it('does not depend on the number of threads', async () => {
    const shape = [1, 700, 6, 32] as const;
    const tensor = (which: number) => stored(numbers(700 * 6 * 32, which), 'f16', shape, 'BNHD');
    const [q, k, v, gradOutput] = [tensor(1), tensor(2), tensor(3), tensor(4)];
    const run = async (threads: number) => {
      await using on = await createDevice({ build, threads });
      const options = { q, k, v, pattern: union(window(200), sinks(3)) };
      const { output, lse } = await on.attention(options);
      return [output, lse, await on.attentionGradients({ ...options, output, lse, gradOutput })];
    };
    expect(await run(3)).toEqual(await run(1));
  });
});

describe('a tensor', () => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ threads: 1 });
  });
  afterAll(() => device.dispose());

  const shape = [1, 2, 5, 4] as const;
  const f32: Tensor = { data: numbers(40, 1), shape };

  it.skipIf(!Float16)('may be a Float16Array, and its result is one', async () => {
    if (!Float16) return;
    const q = { data: new Float16(f32.data), shape };
    const { output, lse } = await device.attention({ q, k: f32, v: f32 });
    expect(output.data).toBeInstanceOf(Float16);
    const bits = stored(f32.data, 'f16', shape);
    const want = await device.attention({ q: bits, k: f32, v: f32 });
    same(output.data, widened(want.output).data);
    const { gradQ, gradK } = await device.attentionGradients({ q, k: f32, v: f32, output, lse, gradOutput: f32 });
    expect(gradQ.data).toBeInstanceOf(Float16);
    expect(gradK.data).toBeInstanceOf(Float32Array);
    same(
      gradQ.data,
      widened((await device.attentionGradients({ ...want, q: bits, k: f32, v: f32, gradOutput: f32 })).gradQ).data,
    );
  });

  it.each(HALVES)('of %s is what the float64 definition says it is', async (type) => {
    const [q, k, v] = [1, 2, 3].map((which) => stored(numbers(40, which), type, shape));
    const want = referenceAttention({ q, k, v });
    const { output } = await device.attention({ q, k, v, output: { data: new Float32Array(40), shape } });
    const data = output.data as Float32Array;
    for (let i = 0; i < 40; i++) expect(Math.abs(data[i] - want.output[i])).toBeLessThan(4e-6);
  });

  it('keeps a key that is not a number in the rows that can see it', async () => {
    const k = stored(f32.data.slice().fill(Number.NaN, 8, 12), 'f16', shape);
    const { output } = await device.attention({ q: f32, k, v: f32, pattern: causal() });
    // Key 2 of head 0.
    for (let i = 0; i < 40; i++) expect(Number.isNaN(output.data[i])).toBe(i >= 8 && i < 20);
  });

  it.each<[string, unknown, RegExp]>([
    [
      'bits without a type',
      { data: new Uint16Array(40) },
      /k.data is a Uint16Array, so k.type must be 'f16' or 'bf16', got none/,
    ],
    ['bits as f32', { data: new Uint16Array(40), type: 'f32' }, /k.type must be 'f16' or 'bf16', got f32/],
    ['float32 as f16', { type: 'f16' }, /k.data is a Float32Array and k.type is 'f16'; toStorage\(\)/],
    ['an unknown type', { type: 'f8' }, /k.type must be 'f32', 'f16' or 'bf16', got 'f8'/],
    [
      'an unknown array',
      { data: new Float64Array(40) },
      /k.data must be a Float32Array, a Uint16Array or a Float16Array/,
    ],
  ])('is refused for %s', async (_, wrong, message) => {
    const k = { ...f32, ...(wrong as Partial<Tensor>) };
    await expect(device.attention({ q: f32, k, v: f32 })).rejects.toThrow(message);
    await expect(device.attention({ q: f32, k, v: f32 })).rejects.toThrow(ArgumentError);
  });

  it('of a device is of one of the types', () => {
    expect(() => device.allocate(3, 'f8' as 'f16')).toThrow(/allocate: type must be 'f32', 'f16' or 'bf16', got 'f8'/);
    expect(() => device.release(new Uint16Array(3))).toThrow(/not made by allocate/);
  });
});

describe('convert()', () => {
  it.each(HALVES)('rounds and widens every number as toStorage() and fromStorage() do: %s', async (type) => {
    await using device = await createDevice({ threads: 2 });
    for (const isPlaced of [false, true]) {
      for (const width of [1, 7, 64]) {
        const count = hardCases.length - (hardCases.length % width);
        const values = hardCases.subarray(0, count);
        const floats = isPlaced ? device.allocate(count) : new Float32Array(count);
        const bits = isPlaced ? device.allocate(count, type) : new Uint16Array(count);
        floats.set(values);
        await device.convert({ data: floats }, { data: bits, type }, width);
        same(fromStorage(Uint16Array.from(bits), type), fromStorage(toStorage(values.slice(), type), type));
        await device.convert({ data: bits, type }, { data: floats }, width);
        same(floats, fromStorage(Uint16Array.from(bits), type));
        if (isPlaced) for (const array of [floats, bits]) device.release(array);
      }
    }
  });

  it('refuses rows that do not fit, and types of which none is f32', async () => {
    await using device = await createDevice({ threads: 1 });
    const [data, bits] = [new Float32Array(6), new Uint16Array(6)];
    await expect(device.convert({ data }, { data: bits, type: 'f16' }, 4)).rejects.toThrow('the same rows of 4');
    await expect(device.convert({ data: bits, type: 'f16' }, { data: bits, type: 'bf16' }, 3)).rejects.toThrow(
      'one of the types must be f32, they are f16 and bf16',
    );
    await expect(device.convert({ data }, { data }, 3)).rejects.toThrow(ArgumentError);
  });
});

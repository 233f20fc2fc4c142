/** Every gradient rule against central differences in float64, and its graph on ONNX Runtime against the same rule in float64. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DenseBackend } from '../backend.ts';
import { GraphBuilder } from '../builder.ts';
import { integers } from '../check.ts';
import * as element from '../elementwise.ts';
import { expandLike, gatherElements, padZeros, scatterAdd } from '../indexing.ts';
import { type Dimension, ROWS, type Value } from '../ir.ts';
import { addRmsNorm, layerNorm, rmsNorm } from '../normalization.ts';
import { createNodeBackend } from '../onnxruntime-node-backend.ts';
import * as op from '../operators.ts';
import { reduceMax, reduceMean } from '../reductions.ts';
import { rotary } from '../rotary.ts';
import { random } from '../testing.ts';
import { differentiate, gradientOf } from './differentiate.ts';
import { gradientRules } from './rules.ts';
import { gradientsOf, type TestCase } from './testing.ts';

let backend: DenseBackend;
beforeAll(async () => {
  backend = await createNodeBackend({ threads: 1 });
});

/** Central differences with steps of 1e-5 are right to about 1e-9; float32 to about 1e-6 of the largest element. */
async function check<Name extends string>(test: TestCase<Name>, seed = 1, onBackend = true): Promise<void> {
  const { analytic, numeric, compiled } = await gradientsOf(test, seed);
  const run = onBackend ? await compiled(backend) : {};
  for (const [name, gradient] of Object.entries(analytic)) {
    const scale = Math.max(1, ...gradient.data.map(Math.abs));
    expect([name, worst(gradient.data, numeric[name]?.data ?? [])]).toEqual([name, expect.closeTo(0, 6)]);
    const own = run[gradientOf(name)];
    if (own !== undefined) expect(worst(own, gradient.data), `${name} on the backend`).toBeLessThan(2e-5 * scale);
  }
}

function worst(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  let largest = 0;
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs((got[i] as number) - (want[i] as number));
    largest = Number.isNaN(difference) ? Number.NaN : Math.max(largest, difference);
  }
  return largest;
}

const row = { shape: [ROWS, 4] } as const;
const positive = { shape: [ROWS, 4], data: (length: number) => random(length, 5).map((x) => x + 1.5) } as const;
/** No element near 0, and none equal, where a derivative jumps. */
const apart = {
  shape: [ROWS, 4],
  data: (length: number) => random(length, 9).map((x) => x + Math.sign(x) * 0.1),
} as const;
const one = (make: (graph: GraphBuilder, x: Value) => Value, x: TestCase['inputs'][string] = row): TestCase<'x'> => ({
  inputs: { x },
  make: (graph, values) => make(graph, values.x),
});
const swish = (domain: '' | 'com.microsoft', operator: string, alpha: number) =>
  one((graph, x) =>
    graph.op1(
      { operator, domain, inputs: [x], attributes: { alpha: { type: 'float', value: alpha } } },
      'float32',
      x.shape,
    ),
  );
const plain = (operator: string, x?: TestCase['inputs'][string], domain: '' | 'com.microsoft' = '') =>
  one((graph, value) => graph.op1({ operator, domain, inputs: [value] }, 'float32', value.shape), x);
const pair = (operator: string): TestCase<'a' | 'b'> => ({
  inputs: { a: apart, b: { shape: [ROWS, 4] } },
  make: (graph, { a, b }) => graph.op1({ operator, inputs: [a, b] }, 'float32', a.shape),
});
const reshaping = (operator: string, from: readonly Dimension[], axes: readonly number[], to: readonly Dimension[]) =>
  one((graph, x) => graph.op1({ operator, inputs: [x, integers(graph, axes)] }, 'float32', to), { shape: from });
const indices = (numbers: readonly number[]) => ({ type: 'int64', data: () => numbers }) as const;

const CASES: readonly (readonly [operator: string, test: TestCase<never>])[] = (
  [
    ['Identity', plain('Identity')],
    ['Cast', one((graph, x) => op.cast(graph, x, 'float32'))],
    ['Neg', one(element.neg)],
    ['Exp', one(element.exp)],
    ['Log', one(element.log, positive)],
    ['Sqrt', one(element.sqrt, positive)],
    ['Reciprocal', one(element.reciprocal, positive)],
    ['Pow', one((graph, x) => element.pow(graph, x, 3))],
    ['Pow', one((graph, x) => element.pow(graph, x, -0.5), positive)],
    ['Abs', plain('Abs', apart)],
    ['Sin', one(element.sin)],
    ['Cos', one(element.cos)],
    ['Erf', one(element.erf)],
    ['Sigmoid', one(op.sigmoid)],
    ['Tanh', one(op.tanh)],
    ['Relu', one(op.relu, apart)],
    ['Softplus', plain('Softplus')],
    ['Gelu', one((graph, x) => op.gelu(graph, op.scaleBy(graph, x, 3)))],
    ['Gelu', one((graph, x) => op.gelu(graph, op.scaleBy(graph, x, 3), { approximate: 'tanh' }))],
    ['com.microsoft.Gelu', plain('Gelu', row, 'com.microsoft')],
    ['com.microsoft.QuickGelu', one((graph, x) => op.silu(graph, op.scaleBy(graph, x, 3)))],
    ['com.microsoft.QuickGelu', swish('com.microsoft', 'QuickGelu', 1.702)],
    ['Swish', swish('', 'Swish', 1.5)],
    ['Max', pair('Max')],
    ['Min', pair('Min')],
    [
      'Where',
      {
        inputs: { c: { shape: [4], type: 'bool', data: () => [1, 0, 0, 1] }, a: row, b: { shape: [ROWS, 1] } },
        make: (graph, { c, a, b }) => element.where(graph, c, a, b),
      } satisfies TestCase<'a' | 'b' | 'c'>,
    ],
    ['Reshape', one((graph, x) => op.reshape(graph, op.reshape(graph, x, [1, ROWS, 2, 2]), [ROWS, 4]))],
    ['Squeeze', reshaping('Squeeze', [ROWS, 1, 4], [1], [ROWS, 4])],
    ['Unsqueeze', reshaping('Unsqueeze', [ROWS, 4], [1], [ROWS, 1, 4])],
    ['Flatten', one((graph, x) => graph.op1({ operator: 'Flatten', inputs: [x] }, 'float32', [ROWS, 4]))],
    ['Transpose', one((graph, x) => op.transpose(graph, op.reshape(graph, x, [ROWS, 2, 2]), [2, 0, 1]))],
    [
      'Concat',
      {
        inputs: { a: row, b: { shape: [ROWS, 3] } },
        make: (graph, { a, b }) => op.concat(graph, [a, b, a], 1),
      } satisfies TestCase<'a' | 'b'>,
    ],
    [
      'Split',
      {
        inputs: { x: { shape: [ROWS, 6] } },
        make: (graph, { x }) => op.split(graph, x, [1, 2, 3], 1),
      } satisfies TestCase<'x'>,
    ],
    [
      'Split',
      {
        inputs: { x: { shape: [ROWS, 6] } },
        make: (graph, { x }) => op.split(graph, x, [1, 2, 3], 1)[1],
      } satisfies TestCase<'x'>,
    ],
    ['Slice', one((graph, x) => op.slice(graph, x, 1, 3, 1))],
    ['Slice', one((graph, x) => op.slice(graph, x, -2, 4, -1))],
    ['Pad', one((graph, x) => padZeros(graph, x, 1, 2, 1))],
    [
      'Expand',
      {
        inputs: { a: { shape: [ROWS, 1] }, b: { shape: [2, ROWS, 4] } },
        make: (graph, { a, b }) => [op.mul(graph, expandLike(graph, a, b), b)],
      } satisfies TestCase<'a' | 'b'>,
    ],
    [
      'Gather',
      {
        inputs: { table: { shape: [5, 4] }, ids: { shape: [ROWS], ...indices([2, 0, 2]) } },
        make: (graph, { table, ids }) => op.gather(graph, table, ids),
      } satisfies TestCase<'table' | 'ids'>,
    ],
    [
      'GatherElements',
      {
        inputs: { x: row, ids: { shape: [ROWS, 2], ...indices([1, 1, 0, 3, 2, 1]) } },
        make: (graph, { x, ids }) => gatherElements(graph, x, ids, 1),
      } satisfies TestCase<'x' | 'ids'>,
    ],
    [
      'ScatterElements',
      {
        inputs: { x: row, ids: { shape: [ROWS, 2], ...indices([1, 1, 0, 3, 2, 1]) }, u: { shape: [ROWS, 2] } },
        make: (graph, { x, ids, u }) => scatterAdd(graph, x, ids, u, 1),
      } satisfies TestCase<'x' | 'ids' | 'u'>,
    ],
    ['Softmax', one((graph, x) => op.softmax(graph, x))],
    ['Softmax', one((graph, x) => op.softmax(graph, op.reshape(graph, x, [ROWS, 2, 2]), 1))],
    ['LogSoftmax', one((graph, x) => op.logSoftmax(graph, op.scaleBy(graph, x, 4)))],
    ['ReduceSum', one((graph, x) => op.reduceSum(graph, x, { axis: 0 }))],
    ['ReduceSum', one((graph, x) => op.reduceSum(graph, x, { axis: 1, keepDimension: true }))],
    ['ReduceMean', one((graph, x) => reduceMean(graph, x))],
    ['ReduceMax', one((graph, x) => reduceMax(graph, x, { keepDimension: true }))],
    ['ReduceMin', one((graph, x) => graph.op1({ operator: 'ReduceMin', inputs: [x] }, 'float32', [1, 1]))],
    [
      'LayerNormalization',
      {
        inputs: { x: row, w: { shape: [4] }, b: { shape: [4] } },
        make: (graph, { x, w, b }) => layerNorm(graph, x, w, b, { epsilon: 0.1 }),
      } satisfies TestCase<'x' | 'w' | 'b'>,
    ],
    [
      'LayerNormalization',
      { inputs: { x: row, w: { shape: [4] } }, make: (graph, { x, w }) => layerNorm(graph, x, w) } satisfies TestCase<
        'x' | 'w'
      >,
    ],
    [
      'SimplifiedLayerNormalization',
      { inputs: { x: row, w: { shape: [4] } }, make: (graph, { x, w }) => rmsNorm(graph, x, w) } satisfies TestCase<
        'x' | 'w'
      >,
    ],
    ['RMSNormalization', norm('RMSNormalization', '')],
    ['com.microsoft.SkipLayerNormalization', norm('SkipLayerNormalization', 'com.microsoft')],
    [
      'com.microsoft.SkipSimplifiedLayerNormalization',
      {
        inputs: { x: row, s: row, w: { shape: [4] } },
        make: (graph, { x, s, w }) => Object.values(addRmsNorm(graph, x, s, w)),
      } satisfies TestCase<'x' | 's' | 'w'>,
    ],
    [
      'RotaryEmbedding',
      {
        inputs: {
          x: { shape: [ROWS, 12] },
          cos: { shape: [ROWS, 2], isConstant: true },
          sin: { shape: [ROWS, 2], isConstant: true },
        },
        make: (graph, { x, cos, sin }) => rotary(graph, x, { heads: 2, cos, sin }),
      } satisfies TestCase<'x' | 'cos' | 'sin'>,
    ],
  ] as const
).map(([operator, test]) => [operator, test as unknown as TestCase<never>]);

/** Tested by properties below. */
const PROPERTIES = ['Add', 'Sub', 'Mul', 'Div', 'MatMul', 'Gemm'];

function norm(operator: string, domain: '' | 'com.microsoft'): TestCase<'x' | 's' | 'w'> {
  return {
    inputs: { x: row, s: row, w: { shape: [4] } },
    make: (graph, { x, s, w }) => {
      const inputs = domain === '' ? [op.add(graph, x, s), w] : [x, s, w];
      return graph.op1({ operator, domain, inputs }, 'float32', x.shape);
    },
  };
}

describe('gradient rules', () => {
  it.each(CASES)('%s', (_, test) => check(test));

  it('are tested, each of them', () => {
    const tested = new Set([...CASES.map(([operator]) => operator), ...PROPERTIES]);
    expect(Object.keys(gradientRules).filter((operator) => !tested.has(operator))).toEqual([]);
  });

  it('Add, Sub, Mul, Div: any shapes that broadcast', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 });
    const isOne = fc.array(fc.boolean(), { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        sizes,
        isOne,
        isOne,
        fc.nat(3),
        fc.nat(3),
        fc.nat(99),
        async (shape, inA, inB, cutA, cutB, seed) => {
          const a = shape.map((size, i) => (inA[i] ? 1 : size)).slice(cutA);
          const b = shape.map((size, i) => (inB[i] ? 1 : size)).slice(cutB);
          const inputs = { a: { shape: a }, b: { shape: b, data: (n: number) => random(n, seed).map((x) => x + 2) } };
          for (const make of [op.add, op.sub, op.mul, op.div]) {
            await check({ inputs, make: (graph, values) => make(graph, values.a, values.b) }, seed, false);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it.each([
    [[ROWS, 4], [4]],
    [
      [ROWS, 1],
      [ROWS, 4],
    ],
    [
      [2, ROWS, 3],
      [ROWS, 1],
    ],
    [[1], [ROWS, 4]],
  ])('Add, Sub, Mul, Div: rows, [%s] and [%s]', async (a, b) => {
    const inputs = { a: { shape: a }, b: { shape: b, data: (n: number) => random(n, 7).map((x) => x + 2) } };
    for (const make of [op.add, op.sub, op.mul, op.div]) {
      await check({ inputs, make: (graph, values) => make(graph, values.a, values.b) });
    }
  });

  it.each([
    [
      [ROWS, 3],
      [3, 5],
    ],
    [
      [2, 4, 3],
      [3, 5],
    ],
    [
      [2, ROWS, 3],
      [3, 5],
    ],
    [
      [ROWS, 2, 3],
      [3, 5],
    ],
    [
      [2, 4, 3],
      [2, 3, 5],
    ],
    [
      [2, 1, 4, 3],
      [3, 3, 2],
    ],
    [
      [4, 3],
      [2, 3, 2],
    ],
  ])('MatMul: [%s] and [%s]', (a, b) =>
    check({
      inputs: { a: { shape: a }, b: { shape: b } },
      make: (graph, values) => op.matmul(graph, values.a, values.b),
    }),
  );

  it('Gemm: any transposes, bias and factor', async () => {
    const size = fc.integer({ min: 1, max: 4 });
    const options = fc.record({ transA: fc.boolean(), transB: fc.boolean(), alpha: fc.constantFrom(1, -0.5) });
    const bias = fc.constantFrom('none', 'row', 'column', 'whole');
    await fc.assert(
      fc.asyncProperty(size, size, size, options, bias, async (m, k, n, how, c) => {
        const shapes = { none: [1], row: [n], column: [m, 1], whole: [m, n] };
        await check({
          inputs: {
            a: { shape: how.transA ? [k, m] : [m, k] },
            b: { shape: how.transB ? [n, k] : [k, n] },
            c: { shape: shapes[c], isConstant: c === 'none' },
          },
          make: (graph, values) => op.gemm(graph, values.a, values.b, c === 'none' ? undefined : values.c, how),
        });
      }),
      { numRuns: 40 },
    );
  });

  it('add up where a value is read more than once, and stop at what is not wanted', () =>
    check({
      inputs: { x: row, w: { shape: [4, 4] }, fixed: { shape: [4, 4], isConstant: true } },
      make: (graph, { x, w, fixed }) => {
        const hidden = op.tanh(graph, op.matmul(graph, x, w));
        const more = op.matmul(graph, hidden, fixed);
        return [op.mul(graph, op.add(graph, x, more), hidden), op.matmul(graph, more, w)];
      },
    }));

  it('are asked for by name', async () => {
    const graph = new GraphBuilder('unknown');
    const x = graph.input('x', 'float32', [ROWS, 4]);
    graph.output(graph.op1({ operator: 'Celu', inputs: [x], name: 'layer 3' }, 'float32', x.shape), 'y');
    const built = graph.build();
    await expect(differentiate(built, { outputs: ['y'], inputs: ['x'] })).rejects.toThrow(
      'node layer 3: the operator Celu has no gradient rule; these have: Identity, ',
    );
    await expect(differentiate(built, { outputs: ['z'], inputs: ['x'] })).rejects.toThrow('has no value z');
    expect(await differentiate(built, { outputs: ['y'], inputs: [] })).toBeUndefined();
  });
});

import { expect, test } from 'vitest';
import { ArgumentError } from '../errors.ts';
import * as op from './index.ts';
import { createNodeBackend, GraphBuilder, type Value } from './index.ts';
import { allClose, evaluate, random } from './testing.ts';

const ROWS = 3;
const backend = await createNodeBackend({ threads: 1 });

type Matrix = (row: number, column: number) => number;

/** Runs one operator on x [3, columns] and y [3, columns] and compares with its definition in float64, element by element. */
async function check(
  make: (graph: GraphBuilder, x: Value, y: Value) => Value,
  definition: (x: Matrix, y: Matrix) => number[],
  { columns = 6, tolerance = 2e-6 } = {},
): Promise<void> {
  const x = random(ROWS * columns, 7).map((value) => value * 4);
  const y = random(ROWS * columns, 8).map((value) => value * 4);
  const matrix =
    (data: Float32Array): Matrix =>
    (row, column) =>
      data[row * columns + column] ?? Number.NaN;
  const result = await evaluate(backend, ROWS, { x, y }, (graph, values) => make(graph, values.x, values.y));
  allClose(result, definition(matrix(x), matrix(y)), tolerance);
}

/** f at every row and column. */
const each = (f: Matrix, rows = ROWS, columns = 6) =>
  Array.from({ length: rows * columns }, (_, i) => f(Math.floor(i / columns), i % columns));
const sum = (n: number, f: (i: number) => number) =>
  Array.from({ length: n }, (_, i) => f(i)).reduce((a, b) => a + b, 0);

/** The error function by its Maclaurin series (Abramowitz and Stegun 7.1.5), exact enough in float64 for |x| < 4. */
function erf(x: number): number {
  let term = x;
  let total = x;
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}
const logistic = (x: number) => 1 / (1 + Math.exp(-x));

test('arithmetic', async () => {
  await check(
    (g, x, y) => op.add(g, x, y),
    (x, y) => each((r, c) => x(r, c) + y(r, c)),
  );
  await check(
    (g, x, y) => op.sub(g, x, y),
    (x, y) => each((r, c) => x(r, c) - y(r, c)),
  );
  await check(
    (g, x, y) => op.mul(g, x, y),
    (x, y) => each((r, c) => x(r, c) * y(r, c)),
  );
  await check(
    (g, x, y) => op.div(g, x, y),
    (x, y) => each((r, c) => x(r, c) / y(r, c)),
    { tolerance: 1e-6 },
  );
  await check(
    (g, x) => op.scaleBy(g, x, -2.5),
    (x) => each((r, c) => x(r, c) * -2.5),
  );
  const row = random(6, 9);
  await check(
    (g, x) => op.add(g, g.constant('float32', row), x),
    (x) => each((r, c) => x(r, c) + (row[c] ?? 0)),
  );
});

test('activations', async () => {
  await check(
    (g, x) => op.sigmoid(g, x),
    (x) => each((r, c) => logistic(x(r, c))),
  );
  await check(
    (g, x) => op.tanh(g, x),
    (x) => each((r, c) => Math.tanh(x(r, c))),
  );
  await check(
    (g, x) => op.relu(g, x),
    (x) => each((r, c) => Math.max(0, x(r, c))),
  );
  await check(
    (g, x) => op.silu(g, x),
    (x) => each((r, c) => x(r, c) * logistic(x(r, c))),
  );
  await check(
    (g, x) => op.gelu(g, x),
    (x) => each((r, c) => 0.5 * x(r, c) * (1 + erf(x(r, c) / Math.SQRT2))),
  );
  const inner = (x: number) => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
  await check(
    (g, x) => op.gelu(g, x, { approximate: 'tanh' }),
    (x) => each((r, c) => 0.5 * x(r, c) * (1 + Math.tanh(inner(x(r, c))))),
  );
});

test('matmul and gemm', async () => {
  const w = random(6 * 4, 11);
  const bias = random(4, 12);
  const product = (x: Matrix, b: (k: number, n: number) => number) =>
    each((r, c) => sum(6, (k) => x(r, k) * b(k, c)), ROWS, 4);
  await check(
    (g, x) =>
      op.matmul(
        g,
        x,
        g.initializer('w', 'float32', [6, 4], () => w),
      ),
    (x) => product(x, (k, n) => w[k * 4 + n] ?? 0),
  );
  await check(
    (g, x) =>
      op.gemm(
        g,
        x,
        g.initializer('w', 'float32', [4, 6], () => w),
        undefined,
        { transB: true },
      ),
    (x) => product(x, (k, n) => w[n * 6 + k] ?? 0),
  );
  await check(
    (g, x) =>
      op.gemm(
        g,
        x,
        g.initializer('w', 'float32', [6, 4], () => w),
        g.constant('float32', bias),
      ),
    (x) => product(x, (k, n) => w[k * 4 + n] ?? 0).map((value, i) => value + (bias[i % 4] ?? 0)),
  );
  await check(
    (g, x) => op.linear(g, x, { rows: 4, columns: 6, bits: 32, load: () => w }, { bias: g.constant('float32', bias) }),
    (x) => product(x, (k, n) => w[n * 6 + k] ?? 0).map((value, i) => value + (bias[i % 4] ?? 0)),
  );
});

test('shapes: concat, split, slice, reshape, transpose', async () => {
  await check(
    (g, x, y) => op.concat(g, [x, y], 1),
    (x, y) => each((r, c) => (c < 6 ? x(r, c) : y(r, c - 6)), ROWS, 12),
  );
  await check(
    (g, x) => op.slice(g, x, 1, -2, 1),
    (x) => each((r, c) => x(r, c + 1), ROWS, 3),
  );
  for (const [part, start, size] of [
    [0, 0, 2],
    [1, 2, 1],
    [2, 3, 3],
  ] as const) {
    await check(
      (g, x) => op.split(g, x, [2, 1, 3], 1)[part] ?? x,
      (x) => each((r, c) => x(r, start + c), ROWS, size),
    );
  }
  await check(
    (g, x) => op.transpose(g, op.reshape(g, x, ['rows', 2, 3]), [0, 2, 1]),
    (x) => each((r, c) => x(r, (c % 2) * 3 + Math.floor(c / 2))),
  );
});

test('reductions, softmax, cast', async () => {
  await check(
    (g, x) => op.reduceSum(g, x),
    (x) => each((r) => sum(6, (c) => x(r, c)), ROWS, 1),
  );
  await check(
    (g, x) => op.reduceSum(g, x, { axis: 0, keepDimension: true }),
    (x) => each((_, c) => sum(ROWS, (r) => x(r, c)), 1),
  );
  const total = (x: Matrix, r: number) => sum(6, (c) => Math.exp(x(r, c)));
  await check(
    (g, x) => op.softmax(g, x),
    (x) => each((r, c) => Math.exp(x(r, c)) / total(x, r)),
  );
  await check(
    (g, x) => op.logSoftmax(g, x),
    (x) => each((r, c) => x(r, c) - Math.log(total(x, r))),
  );
  await check(
    (g, x) => op.cast(g, op.cast(g, x, 'int32'), 'float32'),
    (x) => each((r, c) => Math.trunc(x(r, c))),
  );
});

test('gather takes rows of a table', async () => {
  const table = random(5 * 6, 13);
  await check(
    (g, x) =>
      op.gather(
        g,
        g.initializer('t', 'float32', [5, 6], () => table),
        op.cast(g, op.reshape(g, op.relu(g, op.slice(g, x, 0, 1, 1)), ['rows']), 'int64'),
      ),
    (x) => each((r, c) => table[Math.trunc(Math.max(0, x(r, 0))) * 6 + c] ?? Number.NaN),
  );
});

test('normalizations', async () => {
  const weight = random(6, 14);
  const bias = random(6, 15);
  const w = (g: GraphBuilder) => g.constant('float32', weight);
  const rms = (x: Matrix, r: number, epsilon: number) => Math.sqrt(sum(6, (c) => x(r, c) ** 2) / 6 + epsilon);
  await check(
    (g, x) => op.rmsNorm(g, x, w(g), { epsilon: 0.1 }),
    (x) => each((r, c) => (x(r, c) / rms(x, r, 0.1)) * (weight[c] ?? 0)),
  );
  await check(
    (g, x, y) => op.addRmsNorm(g, x, y, w(g)).sum,
    (x, y) => each((r, c) => x(r, c) + y(r, c)),
  );
  await check(
    (g, x, y) => op.addRmsNorm(g, x, y, w(g), { epsilon: 0.01 }).normalized,
    (x, y) => {
      const s: Matrix = (r, c) => x(r, c) + y(r, c);
      return each((r, c) => (s(r, c) / rms(s, r, 0.01)) * (weight[c] ?? 0));
    },
  );
  await check(
    (g, x) => op.layerNorm(g, x, w(g), g.constant('float32', bias), { epsilon: 1e-3 }),
    (x) =>
      each((r, c) => {
        const mean = sum(6, (i) => x(r, i)) / 6;
        const variance = sum(6, (i) => (x(r, i) - mean) ** 2) / 6;
        return ((x(r, c) - mean) / Math.sqrt(variance + 1e-3)) * (weight[c] ?? 0) + (bias[c] ?? 0);
      }),
  );
});

test.each([
  ['whole heads', 4, 0],
  ['part of a head', 2, 7],
  ['positions in the millions', 4, 3_000_001],
])('rotary: %s', async (_, half, first) => {
  const frequencies = Array.from({ length: half }, (_, i) => 10000 ** (-i / half));
  const angles = op.rotaryRows(frequencies, first, ROWS);
  await check(
    (g, x) => {
      const cos = op.reshape(g, g.constant('float32', angles.cos), [ROWS, half]);
      const sin = op.reshape(g, g.constant('float32', angles.sin), [ROWS, half]);
      const fixed = op.reshape(g, g.op1({ operator: 'Identity', inputs: [x] }, 'float32', [ROWS, 16]), [ROWS, 16]);
      return op.rotary(g, fixed, { heads: 2, cos, sin });
    },
    (x) =>
      each(
        (r, column) => {
          const head = Math.floor(column / 8) * 8;
          const c = column % 8;
          if (c >= 2 * half) return x(r, column);
          const angle = (first + r) * (frequencies[c % half] ?? 0);
          const [a, b] = [x(r, head + (c % half)), x(r, head + (c % half) + half)];
          return c < half ? a * Math.cos(angle) - b * Math.sin(angle) : b * Math.cos(angle) + a * Math.sin(angle);
        },
        ROWS,
        16,
      ),
    { columns: 16 },
  );
});

test('shapes that disagree are told when the node is made', () => {
  const graph = new GraphBuilder('wrong');
  const x = graph.input('x', 'float32', ['rows', 6]);
  const y = graph.input('y', 'float32', ['rows', 5]);
  const table = graph.input('table', 'float32', [7, 6]);
  const ids = graph.input('ids', 'int64', ['rows']);
  const cases: [() => unknown, RegExp][] = [
    [
      () => op.add(graph, x, y, 'residual'),
      /^Add residual: shapes do not broadcast \(a: x float32 \[rows, 6\]; b: y float32 \[rows, 5\]\)/,
    ],
    [() => op.add(graph, x, table), /do not broadcast/],
    [() => op.add(graph, x, ids), /Add/],
    [() => op.matmul(graph, x, y, 'scores'), /^MatMul scores: inner dimensions 6 and rows differ/],
    [() => op.gemm(graph, x, y, undefined, { transB: true }), /inner dimensions 6 and 5/],
    [() => op.gather(graph, table, x), /indices must be int64/],
    [() => op.concat(graph, [x, table], 1), /all axes but 1 must agree/],
    [() => op.split(graph, x, [3, 2], 1), /sum to 5, axis 1 has 6/],
    [() => op.slice(graph, x, 4, 9, 1), /not inside axis 1 of size 6/],
    [() => op.slice(graph, x, 0, 1, 0), /must have a known size/],
    [() => op.reshape(graph, x, ['rows', 4]), /cannot become \[rows, 4\]/],
    [() => op.reshape(graph, x, [3, 6]), /cannot become/],
    [() => op.transpose(graph, x, [0, 0]), /not an order/],
    [() => op.reduceSum(graph, x, { axis: 2 }), /axis 2 does not exist/],
    [() => op.sigmoid(graph, ids), /expected float32/],
    [() => op.rmsNorm(graph, x, y), /weight must be \[6\]/],
    [() => op.addRmsNorm(graph, x, y, graph.constant('float32', random(6, 1))), /one shape/],
    [() => op.rotary(graph, x, { heads: 2, cos: x, sin: x }), /an even width/],
    [() => op.rotary(graph, x, { heads: 1, cos: x, sin: x }), /wider than half/],
    [
      () => op.linear(graph, x, { rows: 3, columns: 5, bits: 32, load: () => random(15, 1) }, { name: 'up' }),
      /^linear up: x must be \[rows, 5\]/,
    ],
    [() => op.sparseAttention(graph, { q: x, k: x, v: y, heads: 2, pattern: { kind: 'causal' } }), /v has no 2 heads/],
    [
      () => op.sparseAttention(graph, { q: x, k: y, v: x, heads: 1, pattern: { kind: 'causal' } }),
      /k must be \[keys, 1 \* 6\]/,
    ],
    [
      () => op.sparseAttention(graph, { q: x, k: x, v: x, heads: 3, keyValueHeads: 2, pattern: { kind: 'causal' } }),
      /must divide 3 heads/,
    ],
    [() => graph.input('x', 'float32', [1]), /two values named x/],
    [() => op.relu(new GraphBuilder('other'), x), /not a value of graph other/],
    [() => new GraphBuilder('empty').build(), /has no output/],
  ];
  for (const [make, message] of cases) {
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(message);
  }
});

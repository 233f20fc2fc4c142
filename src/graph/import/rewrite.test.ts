import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { dispose } from '../../attention/index.ts';
import { type Pattern, parsePattern } from '../../pattern/index.ts';
import type { HostTensor } from '../backend.ts';
import { GraphBuilder } from '../builder.ts';
import { exportOnnx } from '../export/index.ts';
import type { Attribute, Dimension, ElementType, Graph, Value } from '../ir.ts';
import { writeOnnx } from '../onnx-writer.ts';
import { createNodeBackend } from '../onnxruntime-node-backend.ts';
import { hostTensor } from '../tensor-data.ts';
import { allClose, random } from '../testing.ts';
import { compileBatchProgram, kernelAttention, readOnnx, rewriteAttention } from './index.ts';

const backend = await createNodeBackend({ threads: 1 });
afterAll(dispose);

const [HEADS, WIDTH] = [4, 16];
const FEATURES = HEADS * WIDTH;
const int = (value: number): Attribute => ({ type: 'int', value });

/** A graph with some inputs and one node of several outputs. */
function graphOf(
  inputs: Readonly<Record<string, readonly [ElementType, readonly Dimension[]]>>,
  make: (graph: GraphBuilder, values: Record<string, Value>) => Value[],
): Graph {
  const graph = new GraphBuilder('model');
  const values = Object.fromEntries(
    Object.entries(inputs).map(([name, [type, shape]]) => [name, graph.input(name, type, shape)]),
  );
  for (const [i, output] of make(graph, values).entries()) graph.output(output, `output${i}`);
  return graph.build();
}

/** Numbers for a graph's inputs; `sizes` says what the names of dimensions are, `given` has inputs that are not random. */
function feedsOf(graph: Graph, sizes: Readonly<Record<string, number>>, given: Record<string, HostTensor> = {}) {
  return Object.fromEntries(
    graph.inputs.map(({ name, type, shape }, seed) => {
      const sides = shape.map((side) => (typeof side === 'number' ? side : (sizes[side] ?? Number.NaN)));
      const count = sides.reduce((product, side) => product * side, 1);
      return [name, given[name] ?? hostTensor(type, random(count, seed + 1), sides)];
    }),
  );
}

/** The rewritten graph gives what ONNX Runtime gives for the original. */
async function compare(
  graph: Graph,
  feeds: Record<string, HostTensor>,
  pattern: Pattern = { kind: 'dense' },
  counts: (output: string, at: number) => boolean = () => true,
) {
  const session = await backend.compile(graph);
  const want = await session.compute(feeds);
  await session.release();
  const model = await readOnnx(await writeOnnx(graph));
  const rewritten = rewriteAttention(model, { pattern });
  expect(rewritten.unmatched).toEqual([]);
  expect(rewritten.found).toHaveLength(1);
  const program = await compileBatchProgram(rewritten.graph, backend, { attention: kernelAttention() });
  const got = await program.run(feeds);
  await program.release();
  for (const [name, { data, shape }] of Object.entries(want)) {
    expect(got[name]?.shape).toEqual(shape);
    const counted = (values: ArrayLike<number | bigint>) =>
      Array.from(values, Number).filter((_, i) => counts(name, i));
    allClose(counted(got[name]?.data ?? []), counted(data), 2e-6);
  }
  return rewritten;
}

const QKV = {
  q: ['float32', ['batch', 'n', FEATURES]],
  k: ['float32', ['batch', 'n', FEATURES]],
  v: ['float32', ['batch', 'n', FEATURES]],
} as const;
const SIZES = { batch: 2, n: 20 };

describe('com.microsoft nodes become sparse attention', () => {
  const attention = (
    graph: GraphBuilder,
    operator: string,
    inputs: (Value | undefined)[],
    attributes: Record<string, Attribute>,
    presents = 0,
  ) =>
    graph.op({
      operator,
      domain: 'com.microsoft',
      inputs,
      attributes,
      outputs: [
        { type: 'float32', shape: ['batch', 'n', FEATURES] },
        ...Array.from(
          { length: presents },
          () => ({ type: 'float32', shape: ['batch', 'groups', 'total', WIDTH] }) as const,
        ),
      ],
      name: 'attention',
    });
  const padding = hostTensor(
    'int32',
    Int32Array.from({ length: 40 }, (_, i) => (i < 20 || i < 33 ? 1 : 0)),
    [2, 20],
  );

  it('MultiHeadAttention, with a bias and a mask of keys', async () => {
    const inputs = { ...QKV, bias: ['float32', [3 * FEATURES]], mask: ['int32', ['batch', 'n']] } as const;
    const graph = graphOf(inputs, (g, { q, k, v, bias, mask }) =>
      attention(g, 'MultiHeadAttention', [q, k, v, bias, mask], { num_heads: int(HEADS) }),
    );
    const { found } = await compare(graph, feedsOf(graph, SIZES, { mask: padding }));
    expect(found[0]).toMatchObject({
      operator: 'MultiHeadAttention',
      heads: HEADS,
      hasKeyMask: true,
      pattern: { kind: 'dense' },
    });
  });

  it('MultiHeadAttention, causal, with a past and a present', async () => {
    const inputs = {
      ...QKV,
      past_k: ['float32', ['batch', HEADS, 'past', WIDTH]],
      past_v: ['float32', ['batch', HEADS, 'past', WIDTH]],
    } as const;
    const graph = graphOf(inputs, (g, { q, k, v, past_k, past_v }) =>
      attention(
        g,
        'MultiHeadAttention',
        [q, k, v, undefined, undefined, undefined, past_k, past_v],
        { num_heads: int(HEADS), unidirectional: int(1), scale: { type: 'float', value: 0.2 } },
        2,
      ),
    );
    for (const past of [0, 9]) await compare(graph, feedsOf(graph, { ...SIZES, past }));
  });

  it('Attention, with its own projections', async () => {
    const inputs = {
      x: ['float32', ['batch', 'n', 12]],
      weight: ['float32', [12, 3 * FEATURES]],
      bias: ['float32', [3 * FEATURES]],
      mask: ['int32', ['batch', 'n']],
    } as const;
    for (const unidirectional of [0, 1]) {
      const graph = graphOf(inputs, (g, { x, weight, bias, mask }) =>
        attention(g, 'Attention', [x, weight, bias, mask], {
          num_heads: int(HEADS),
          unidirectional: int(unidirectional),
        }),
      );
      const { found } = await compare(graph, feedsOf(graph, SIZES, { mask: padding }));
      expect(found[0]?.pattern.kind).toBe(unidirectional === 1 ? 'causal' : 'dense');
    }
  });

  it('GroupQueryAttention, rotating, in a window of its own, with a past', async () => {
    const groups = 2;
    const inputs = {
      q: ['float32', ['batch', 'n', FEATURES]],
      k: ['float32', ['batch', 'n', groups * WIDTH]],
      v: ['float32', ['batch', 'n', groups * WIDTH]],
      past_k: ['float32', ['batch', groups, 'past', WIDTH]],
      past_v: ['float32', ['batch', groups, 'past', WIDTH]],
      lengths: ['int32', ['batch']],
      total: ['int32', []],
      cos: ['float32', [64, WIDTH / 2]],
      sin: ['float32', [64, WIDTH / 2]],
    } as const;
    const angles = (of: (angle: number) => number) =>
      hostTensor(
        'float32',
        Float32Array.from({ length: 64 * 8 }, (_, i) => of(Math.floor(i / 8) * 0.5 ** (i % 8))),
        [64, 8],
      );
    const graph = graphOf(inputs, (g, { q, k, v, past_k, past_v, lengths, total, cos, sin }) =>
      attention(
        g,
        'GroupQueryAttention',
        [q, k, v, past_k, past_v, lengths, total, cos, sin],
        { num_heads: int(HEADS), kv_num_heads: int(groups), do_rotary: int(1), local_window_size: int(5) },
        2,
      ),
    );
    for (const past of [0, 7]) {
      const n = past === 0 ? 20 : 1;
      const given = {
        lengths: hostTensor('int32', Int32Array.of(past + n - 1, past + n - 1), [2]),
        total: hostTensor('int32', Int32Array.of(past + n), []),
        cos: angles(Math.cos),
        sin: angles(Math.sin),
      };
      const { found } = await compare(graph, feedsOf(graph, { batch: 2, n, past }, given));
      expect(found[0]?.pattern).toMatchObject({
        kind: 'intersect',
        of: [{ kind: 'causal' }, { kind: 'window', left: 4 }],
      });
    }
    const unequal = {
      lengths: hostTensor('int32', Int32Array.of(7, 4), [2]),
      total: hostTensor('int32', Int32Array.of(8), []),
      cos: angles(Math.cos),
      sin: angles(Math.sin),
    };
    const feeds = feedsOf(graph, { batch: 2, n: 1, past: 7 }, unequal);
    // Behind an entry's last key anything may stand.
    await compare(graph, feeds, { kind: 'dense' }, (name, i) => {
      const [entry, key] = [Math.floor(i / (groups * 8 * WIDTH)), Math.floor(i / WIDTH) % 8];
      return name === 'output0' || key <= (entry === 0 ? 7 : 4);
    });
    // The same as a file for ONNX Runtime alone.
    const { graph: window } = rewriteAttention(await readOnnx(await writeOnnx(graph)), {
      pattern: parsePattern('window:2'),
    });
    const program = await compileBatchProgram(window, backend, { attention: kernelAttention() });
    const wanted = await program.run(feeds);
    await program.release();
    const stock = await InferenceSession.create((await exportOnnx(window)).model, { logSeverityLevel: 3 });
    const inputsOf = Object.entries(feeds).map(([name, { type, data, shape }]) => [
      name,
      new Tensor(type as 'float32', data as Float32Array, shape),
    ]);
    const { output0 } = await stock.run(Object.fromEntries(inputsOf));
    await stock.release();
    allClose(Array.from(output0?.data as Float32Array), Array.from(wanted.output0?.data ?? [], Number), 2e-6);
  });

  it('GroupQueryAttention, whose entries have pasts of their own lengths, under sinks and by head', async () => {
    const groups = 2;
    const inputs = {
      q: ['float32', ['batch', 'n', FEATURES]],
      k: ['float32', ['batch', 'n', groups * WIDTH]],
      v: ['float32', ['batch', 'n', groups * WIDTH]],
      past_k: ['float32', ['batch', groups, 'past', WIDTH]],
      past_v: ['float32', ['batch', groups, 'past', WIDTH]],
      lengths: ['int32', ['batch']],
      total: ['int32', []],
    } as const;
    const graph = graphOf(inputs, (g, { q, k, v, past_k, past_v, lengths, total }) =>
      attention(
        g,
        'GroupQueryAttention',
        [q, k, v, past_k, past_v, lengths, total],
        { num_heads: int(HEADS), kv_num_heads: int(groups) },
        2,
      ),
    );
    const model = await readOnnx(await writeOnnx(graph));
    const [past, pasts] = [9, [9, 3]];
    for (const words of ['sinks:2+window:3', 'sinks:1|window:4|causal|sinks:2+window:1']) {
      const { graph: sparse } = rewriteAttention(model, { pattern: parsePattern(words) });
      const program = await compileBatchProgram(sparse, backend, { attention: kernelAttention() });
      const run = (batch: number, length: number, given: Record<string, HostTensor>) =>
        program.run(feedsOf(sparse, { batch, n: 2, past: length }, given));
      const total = hostTensor('int32', Int32Array.of(past + 2), []);
      const lengths = hostTensor(
        'int32',
        Int32Array.from(pasts, (own) => own + 1),
        [2],
      );
      const whole = feedsOf(sparse, { batch: 2, n: 2, past }, { total, lengths });
      const together = await run(2, past, whole);
      for (const [b, own] of pasts.entries()) {
        // The entry alone, its past cut to its length.
        const alone: Record<string, HostTensor> = {};
        for (const [name, { data, shape }] of Object.entries(whole)) {
          if (name === 'total') continue;
          const entry = Array.from(data, Number).slice((b * data.length) / 2, ((b + 1) * data.length) / 2);
          const isPast = name.startsWith('past');
          const kept = isPast ? entry.filter((_, i) => Math.floor(i / WIDTH) % past < own) : entry;
          const sides = isPast ? [1, groups, own, WIDTH] : [1, ...shape.slice(1)];
          alone[name] = hostTensor(
            name === 'lengths' ? 'int32' : 'float32',
            name === 'lengths' ? Int32Array.from(kept) : Float32Array.from(kept),
            sides,
          );
        }
        alone.total = hostTensor('int32', Int32Array.of(own + 2), []);
        const { output0 } = await run(1, own, alone);
        const rows = 2 * FEATURES;
        const got = Array.from(together.output0?.data ?? [], Number).slice(b * rows, (b + 1) * rows);
        allClose(got, Array.from(output0?.data ?? [], Number), 2e-6);
      }
      await program.release();
    }
  });
});

describe('masks as exporters write them', () => {
  const FOUR = ['batch', HEADS, 'n', WIDTH] as const;
  const inputs = { q: ['float32', FOUR], k: ['float32', ['batch', HEADS, WIDTH, 'n']], v: ['float32', FOUR] } as const;
  const constant = (g: GraphBuilder, ...values: number[]) => g.constant('int64', BigInt64Array.from(values, BigInt));
  const scalar = (g: GraphBuilder, value: number) => g.constant('float32', Float32Array.of(value), []);

  /** softmax(masked(q k)) v, where `mask` is made from the positions of queries [n, 1] and keys [1, n]. */
  const masked = (
    mask: (g: GraphBuilder, scores: Value, q: Value, k: Value) => Value,
    after: (g: GraphBuilder, probabilities: Value) => Value[] = () => [],
  ) =>
    graphOf(inputs, (g, values) => {
      const { q, k, v } = values as { q: Value; k: Value; v: Value };
      const op = (operator: string, from: Value[], type: ElementType, shape: readonly Dimension[], attributes = {}) =>
        g.op1({ operator, inputs: from, attributes }, type, shape);
      const shape = op('Shape', [q], 'int64', [4]);
      const length = op('Gather', [shape, g.constant('int64', BigInt64Array.of(2n), [])], 'int64', []);
      const [zero, one] = [0n, 1n].map((x) => g.constant('int64', BigInt64Array.of(x), []));
      const places = op('Range', [zero as Value, length, one as Value], 'int64', ['n']);
      const rows = op('Unsqueeze', [places, constant(g, 1)], 'int64', ['n', 1]);
      const columns = op('Unsqueeze', [places, constant(g, 0)], 'int64', [1, 'n']);
      const scores = op('MatMul', [q, k], 'float32', ['batch', HEADS, 'n', 'n']);
      const probabilities = op('Softmax', [mask(g, scores, rows, columns)], 'float32', ['batch', HEADS, 'n', 'n']);
      const attended = op('MatMul', [probabilities, v], 'float32', FOUR);
      return [attended, ...after(g, probabilities)];
    });
  const pair = (g: GraphBuilder, operator: string, a: Value, b: Value, type: ElementType) =>
    g.op1({ operator, inputs: [a, b] }, type, ['n', 'n']);
  const whereScores = (g: GraphBuilder, condition: Value, scores: Value) =>
    g.op1({ operator: 'Where', inputs: [condition, scores, scalar(g, -Infinity)] }, 'float32', scores.shape);

  it('a causal window by comparisons, under a soft cap', async () => {
    const graph = masked((g, scores, q, k) => {
      const capped = g.op1(
        {
          operator: 'Tanh',
          inputs: [g.op1({ operator: 'Div', inputs: [scores, scalar(g, 2)] }, 'float32', scores.shape)],
        },
        'float32',
        scores.shape,
      );
      const scaled = g.op1({ operator: 'Mul', inputs: [capped, scalar(g, 2)] }, 'float32', scores.shape);
      const past = pair(g, 'LessOrEqual', k, q, 'bool');
      const near = pair(
        g,
        'Less',
        pair(g, 'Sub', q, k, 'int64'),
        g.constant('int64', BigInt64Array.of(6n), []),
        'bool',
      );
      return whereScores(g, pair(g, 'And', past, near, 'bool'), scaled);
    });
    const { found } = await compare(graph, feedsOf(graph, SIZES));
    expect(found[0]?.pattern).toMatchObject({ of: [{ kind: 'causal' }, { kind: 'window', left: 5 }] });
  });

  it('a triangle of ones', async () => {
    const graph = masked((g, scores) => {
      const shape = g.op1({ operator: 'Shape', inputs: [scores] }, 'int64', [4]);
      const value: Attribute = {
        type: 'tensor',
        value: { type: 'float32', shape: [1], data: Float32Array.of(-Infinity) },
      };
      const full = g.op1(
        { operator: 'ConstantOfShape', inputs: [shape], attributes: { value } },
        'float32',
        scores.shape,
      );
      const above = g.op1(
        { operator: 'Trilu', inputs: [full, g.constant('int64', BigInt64Array.of(1n), [])] },
        'float32',
        scores.shape,
      );
      return g.op1({ operator: 'Add', inputs: [scores, above] }, 'float32', scores.shape);
    });
    const { found } = await compare(graph, feedsOf(graph, SIZES));
    expect(found[0]?.pattern).toEqual({ kind: 'causal' });
  });

  it.each([
    [
      'a bias of positions',
      masked((g, scores, q, k) =>
        g.op1(
          {
            operator: 'Add',
            inputs: [
              scores,
              g.op1(
                { operator: 'Cast', inputs: [pair(g, 'Sub', q, k, 'int64')], attributes: { to: int(1) } },
                'float32',
                ['n', 'n'],
              ),
            ],
          },
          'float32',
          scores.shape,
        ),
      ),
      'is added to its scores',
    ],
    [
      'probabilities that are given',
      masked(
        (_, scores) => scores,
        (_, probabilities) => [probabilities],
      ),
      'its probabilities Softmax are read by 2 nodes',
    ],
    [
      'another order of pairs',
      masked((g, scores, q, k) =>
        whereScores(
          g,
          pair(g, 'Less', pair(g, 'Add', q, k, 'int64'), g.constant('int64', BigInt64Array.of(9n), []), 'bool'),
          scores,
        ),
      ),
      'its mask allows pairs with',
    ],
  ])('%s is left dense, and named', async (_, graph, why) => {
    const model = await readOnnx(await writeOnnx(graph));
    const { found, unmatched, graph: same } = rewriteAttention(model, { pattern: parsePattern('window:3') });
    expect(found).toEqual([]);
    expect(unmatched).toEqual([{ node: 'Softmax', why: expect.stringContaining(why) }]);
    expect(same.nodes.map((node) => node.operator)).toContain('Softmax');
  });
});

describe('patterns by layer', () => {
  it('are asked for by position, and may differ by head', async () => {
    const graph = graphOf(QKV, (g, { q, k, v }) =>
      g.op({
        operator: 'MultiHeadAttention',
        domain: 'com.microsoft',
        inputs: [q, k, v],
        attributes: { num_heads: int(HEADS) },
        outputs: [{ type: 'float32', shape: ['batch', 'n', FEATURES] }],
        name: 'only',
      }),
    );
    const model = await readOnnx(await writeOnnx(graph));
    const perHead = parsePattern('window:2|causal');
    const asked: unknown[] = [];
    const { found } = rewriteAttention(model, {
      pattern: (layer) => {
        asked.push(layer);
        return perHead;
      },
    });
    expect(asked).toEqual([{ index: 0, node: 'only' }]);
    expect(found[0]?.pattern).toEqual(perHead);
    expect(() => rewriteAttention(model, { pattern: { kind: 'window', left: -1, right: 0 } })).toThrow('left');
  });
});

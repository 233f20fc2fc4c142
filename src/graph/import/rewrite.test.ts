import { afterAll, describe, expect, it } from 'vitest';
import { dispose } from '../../attention/index.ts';
import { parsePattern } from '../../pattern/index.ts';
import type { GraphBuilder } from '../builder.ts';
import type { Attribute, Dimension, ElementType, Value } from '../ir.ts';
import { writeOnnx } from '../onnx-writer.ts';
import { readOnnx, rewriteAttention } from './index.ts';
import { compare, FEATURES, feedsOf, graphOf, HEADS, int, QKV, SIZES, WIDTH } from './test-rewrite.ts';

afterAll(dispose);

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

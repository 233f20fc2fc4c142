import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { GraphBuilder } from '../builder.ts';
import type { Attribute, ElementType, Graph } from '../ir.ts';
import { createNodeBackend } from '../onnxruntime-node-backend.ts';
import { allClose, random } from '../testing.ts';
import { lowerGraph } from './index.ts';

const backend = await createNodeBackend({ threads: 1 });
const [ROWS, WIDTH] = [3, 8];

interface Given {
  readonly domain?: string;
  readonly operator: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Vectors [WIDTH] beside x [ROWS, WIDTH]; 'rows' for one more matrix. */
  readonly others: readonly ('rows' | 'vector')[];
  readonly outputs: readonly (boolean | 'column')[];
  readonly type?: ElementType;
}

/** One node over inputs x, x1, x2, ... */
function graphOf({ domain = '', operator, attributes = {}, others, outputs, type = 'float32' }: Given): Graph {
  const graph = new GraphBuilder('one node');
  const inputs = ['rows', ...others].map((kind, i) =>
    graph.input(`x${i}`, type, kind === 'rows' ? ['rows', WIDTH] : [WIDTH]),
  );
  const values = graph.op({
    operator,
    domain,
    attributes,
    inputs,
    outputs: outputs.map((output) => (output ? { type, shape: ['rows', output === 'column' ? 1 : WIDTH] } : undefined)),
  });
  for (const [i, value] of values.entries()) graph.output(value, `y${i}`);
  return graph.build();
}

async function outputsOf(graph: Graph): Promise<number[][]> {
  const session = await backend.compile(graph);
  try {
    const feeds = graph.inputs.map(({ name, shape }, i) => {
      const sides = shape.map((side) => (typeof side === 'number' ? side : ROWS));
      const data = random(
        sides.reduce((product, side) => product * side, 1),
        i + 1,
      );
      return [name, { type: 'float32', data, shape: sides }] as const;
    });
    const results = await session.compute(Object.fromEntries(feeds));
    return graph.outputs.map(({ name }) => Array.from(results[name]?.data ?? [], Number));
  } finally {
    await session.release();
  }
}

const OWN = 'com.microsoft';
const float = (value: number): Attribute => ({ type: 'float', value });
const skip = { domain: OWN, operator: 'SkipSimplifiedLayerNormalization' };

describe('operators of ONNX Runtime, in standard ones,', () => {
  it.each<[string, Given]>([
    ['QuickGelu', { domain: OWN, operator: 'QuickGelu', others: [], outputs: [true] }],
    ['SiLU', { domain: OWN, operator: 'QuickGelu', attributes: { alpha: float(1) }, others: [], outputs: [true] }],
    [
      'a norm',
      {
        operator: 'SimplifiedLayerNormalization',
        attributes: { epsilon: float(0.1) },
        others: ['vector'],
        outputs: [true],
      },
    ],
    ['a norm of a sum', { ...skip, others: ['rows', 'vector'], outputs: [true] }],
    ['with the sum', { ...skip, others: ['rows', 'vector'], outputs: [true, false, false, true] }],
    [
      'with a bias',
      { ...skip, attributes: { epsilon: float(0.1) }, others: ['rows', 'vector', 'vector'], outputs: [true] },
    ],
    ['with both', { ...skip, others: ['rows', 'vector', 'vector'], outputs: [true, false, false, true] }],
  ])('give what they give: %s', async (_, given) => {
    const graph = graphOf(given);
    const lowered = lowerGraph(graph);
    expect(lowered.nodes.filter(({ operator, domain }) => domain !== '' || operator === given.operator)).toEqual([]);
    const [wanted, got] = [await outputsOf(graph), await outputsOf(lowered)];
    expect(wanted.length).toBe(given.outputs.filter((output) => output !== false).length);
    for (const [i, own] of wanted.entries()) {
      expect(own.length).toBe(ROWS * WIDTH);
      allClose(got[i] ?? [], own, 1e-6);
    }
  });

  it.each<[string, Given]>([
    ['other types', { ...skip, others: ['rows', 'vector'], outputs: [true], type: 'float16' }],
    ['deviations', { operator: 'SimplifiedLayerNormalization', others: ['vector'], outputs: [true, 'column'] }],
    [
      'another axis',
      {
        operator: 'SimplifiedLayerNormalization',
        attributes: { axis: { type: 'int', value: 0 } },
        others: ['rows'],
        outputs: [true],
      },
    ],
  ])('stay as they are with %s', (_, given) => {
    const graph = graphOf(given);
    expect(lowerGraph(graph).nodes).toEqual(graph.nodes);
  });

  it('refuse experts that are not those of gpt-oss', () => {
    const swiglu = { type: 'string', value: 'swiglu' } as const;
    const attributes = { activation_type: swiglu, swiglu_fusion: { type: 'int', value: 1 } } as const;
    const moe = { domain: OWN, operator: 'MoE', attributes, outputs: [true] };
    // x, scores and two matrices, whose biases are absent.
    const graph = graphOf({ ...moe, others: ['rows', 'rows', 'rows', 'rows'] });
    const nodes = graph.nodes.map((node) =>
      node.operator === 'MoE' ? { ...node, inputs: node.inputs.with(3, '') } : node,
    );
    expect(() => lowerGraph({ ...graph, nodes })).toThrow(ArgumentError);
    expect(() => lowerGraph(graphOf({ ...moe, attributes: {}, others: ['rows'] }))).toThrow('only SwiGLU');
  });
});

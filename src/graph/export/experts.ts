/** A mixture of experts in standard operators, in which each expert computes the rows that chose it alone. */
import { ArgumentError } from '../../errors.ts';
import type { Node } from '../ir.ts';
import type { Emitter } from './emitter.ts';

/**
 * com.microsoft.MoE as model/ uses it (ONNX Runtime, ContribOperators.md: SwiGLU with gates and values in turn): x [rows, in], the router's
 * scores [rows, E], matrices [E, 2 inner, in] and [E, in, inner] with their biases, to `output` [rows, in]. A Loop goes over the
 * experts: their rows are gathered, computed, and added in their places times their shares. Row 0 is among those of every expert, so that none
 * has an empty list; its share is 0 where it chose others.
 */
export function mixtureOfExperts(emitter: Emitter, node: Node, output: string): void {
  const { edit } = emitter;
  const [x = '', scores = '', wide = '', wideBias = '', down = '', downBias = ''] = node.inputs;
  const number = (name: string, otherwise: number): number => {
    const attribute = node.attributes[name];
    return attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : otherwise;
  };
  const { activation_type: activation } = node.attributes;
  const isSwiGlu = activation?.type === 'string' && activation.value === 'swiglu' && number('swiglu_fusion', 0) === 1;
  const needed = [x, scores, wide, wideBias, down, downBias];
  if (!isSwiGlu || node.inputs.length > needed.length || needed.includes('')) {
    throw new ArgumentError(
      `MoE ${node.name}: only SwiGLU with gates and values in turn and with biases can be exported`,
    );
  }
  const [alpha, beta] = [number('activation_alpha', 1), number('activation_beta', 0)];
  const limit = number('swiglu_limit', Number.POSITIVE_INFINITY);
  const axis = (value: number) => ({ axis: { type: 'int', value } }) as const;

  const [values, chosen] = [edit.free('topk'), edit.free('topk_experts')];
  edit.values.set(values, { name: values, type: 'float32', shape: [], ranked: false });
  edit.values.set(chosen, { name: chosen, type: 'int64', shape: [], ranked: false });
  emitter.nodes.push({
    name: values,
    domain: '',
    operator: 'TopK',
    inputs: [scores, emitter.int64(number('k', 1))],
    outputs: [values, chosen],
    attributes: axis(-1),
  });
  // The softmax of all scores, divided by the sum of the chosen ones, is that of the chosen scores.
  const own =
    number('normalize_routing_weights', 0) === 1
      ? emitter.op('Softmax', [values], 'float32', axis(-1))
      : emitter.op(
          'GatherElements',
          [emitter.op('Softmax', [scores], 'float32', axis(-1)), chosen],
          'float32',
          axis(1),
        );
  const zeros = (like: string): string => emitter.op('ConstantOfShape', [emitter.op('Shape', [like], 'int64')]);
  const shares = emitter.transpose(
    emitter.op('ScatterElements', [zeros(scores), chosen, own], 'float32', axis(1)),
    [1, 0],
  );
  const rows = emitter.range(emitter.int64(0), emitter.side(x, 0));
  const isFirst = emitter.op('Equal', [rows, emitter.int64(0)], 'bool');
  const sum = emitter.fold(emitter.side(scores, 1), zeros(x), (body, expert, state) => {
    const part = (value: string): string => body.gather(value, expert, 0);
    const linear = (input: string, matrix: string, bias: string): string =>
      body.op('Gemm', [input, part(matrix), part(bias)], 'float32', { transB: { type: 'int', value: 1 } });
    const share = part(shares); // [rows]
    const isOwn = body.op('Or', [body.op('Greater', [share, body.float(0)], 'bool'), isFirst], 'bool');
    const places = body.op('Squeeze', [body.op('NonZero', [isOwn], 'int64'), body.int64(0)], 'int64');
    const both = linear(body.gather(x, places, 0), wide, wideBias); // [own rows, 2 inner]
    const pairs = body.op('Reshape', [both, body.int64(0, -1, 2)]);
    const column = (i: number): string => body.op('Squeeze', [body.gather(pairs, body.int64(i), 2), body.int64(2)]);
    const isLimited = Number.isFinite(limit);
    const gate = isLimited ? body.op('Min', [column(0), body.float(limit)]) : column(0);
    const bounded = (value: string): string =>
      body.op('Max', [body.op('Min', [value, body.float(limit)]), body.float(-limit)]);
    const value = isLimited ? bounded(column(1)) : column(1);
    const gated = body.op('Mul', [gate, body.op('Sigmoid', [body.op('Mul', [gate, body.float(alpha)])])]);
    const inner = body.op('Mul', [gated, body.op('Add', [value, body.float(beta)])]);
    const shared = body.op('Mul', [
      linear(inner, down, downBias),
      body.op('Unsqueeze', [body.gather(share, places, 0), body.int64(1)]),
    ]);
    const next = body.op('Add', [body.gather(state, places, 0), shared]);
    return body.op('ScatterND', [state, body.op('Unsqueeze', [places, body.int64(1)], 'int64'), next]);
  });
  emitter.op('Identity', [sum], 'float32', {}, output);
}

/** Attention that is one node already: ONNX's Attention (opset 23). */
import type { Node } from '../ir.ts';
import type { AttentionMatch, GraphView, Unmatched } from './attention-match.ts';
import { isEqual } from './polynomial.ts';
import { NodeView } from './rule.ts';

/** Attention of the standard domain (ONNX, "Attention", since opset 23). */
export function matchAttentionNode(view: GraphView, node: Node): AttentionMatch | Unmatched {
  const own = new NodeView(node, view.graph.opsets?.get('') ?? 1, []);
  const unmatched = (why: string): Unmatched => ({ node: node.name, why });
  const [q = '', k = '', v = '', mask = '', pastK = '', pastV = '', lengths = ''] = node.inputs;
  const [, presentK, presentV, scores] = node.outputs;
  if (view.isRead(scores)) return unmatched(`its scores ${scores} are read`);
  if (lengths !== '')
    return unmatched('it is given the number of valid keys (nonpad_kv_seqlen), which is not followed yet');
  const shape = view.tensor(q)?.shape;
  const keys = view.tensor(k)?.shape;
  if (shape === undefined || keys === undefined) return unmatched('the number of axes of its queries is not known');
  const isCausal = own.int('is_causal', 0) === 1;
  const isSquare = isEqual(shape.at(-2) ?? new Map(), keys.at(-2) ?? new Map()) && pastK === '';
  // The standard aligns causality at the first query and key, Farfield at the last ones.
  if (isCausal && !isSquare) return unmatched('it is causal, and has not as many keys as queries');
  const query = own.int('q_num_heads', 0);
  const softcap = own.attribute('softcap', 'float');
  const isTruth = view.tensor(mask)?.type === 'bool';
  return {
    node,
    last: node,
    q,
    k,
    v,
    isKeyTransposed: false,
    ...(shape.length === 3 ? { heads: { query, keyValue: own.int('kv_num_heads', query) } } : {}),
    scale: own.attribute('scale', 'float'),
    ...(softcap ? { softcap } : {}),
    masks: mask === '' ? [] : [{ value: mask, form: isTruth ? 'truth' : 'additive' }],
    isCausal,
    ...(pastK === '' ? {} : { past: { k: pastK, v: pastV } }),
    present: {
      k: view.isRead(presentK) ? presentK : undefined,
      v: view.isRead(presentV) ? presentV : undefined,
    },
  };
}

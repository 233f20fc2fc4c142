/**
 * Attention of ONNX Runtime's own (ContribOperators.md): Attention, MultiHeadAttention, GroupQueryAttention, as its optimizer and model
 * builder write them.
 */
import type { Pattern } from '../../pattern/pattern.ts';
import type { GraphEdit } from '../graph-edit.ts';
import type { Attribute, Node } from '../ir.ts';
import type { AttentionMatch, GraphView, MaskInput, Unmatched } from './attention-match.ts';
import { newPositions, type PastLengths } from './past-lengths.ts';
import { constantOf } from './polynomial.ts';
import { NodeView } from './rule.ts';

/** Steps that reach past any position. */
const EVER = 2 ** 50;

/** The attention of a com.microsoft node, or why it is left as it is; undefined for other nodes. */
export function matchMicrosoft(view: GraphView, node: Node): AttentionMatch | Unmatched | undefined {
  if (node.operator === 'MultiHeadAttention') return matchMultiHead(view, node);
  if (node.operator === 'GroupQueryAttention') return matchGroupQuery(view, node);
  return node.operator === 'Attention' ? matchPacked(view, node) : undefined;
}

function matchMultiHead(view: GraphView, node: Node): AttentionMatch | Unmatched {
  const own = new NodeView(node, 1, []);
  const unmatched = (why: string): Unmatched => ({ node: node.name, why });
  const [q = '', k = '', v = '', bias = '', keyMask = '', scoreBias = '', pastK = '', pastV = ''] = node.inputs;
  const [, presentK, presentV, scores] = node.outputs;
  if (k === '' || v === '') return unmatched('its queries, keys and values are packed in one input');
  const ranks = [q, k, v].map((name) => view.tensor(name)?.shape?.length);
  if (ranks.join() !== '3,3,3')
    return unmatched(`its queries, keys and values have ${ranks.join(', ')} axes; 3 each are needed`);
  if (view.isRead(scores)) return unmatched(`its scores ${scores} are read`);
  if (node.inputs[8] || node.inputs[9]) return unmatched('its past is a buffer that it shares with the present');
  const masks = keyMasksOf(view, keyMask);
  if (masks === undefined) return unmatched(`its mask ${keyMask} is no mask of keys [batch, keys]`);
  const heads = own.int('num_heads', 1);
  const widths = [q, k, v].map((name) => lastSide(view, name));
  if (!widths.every((width) => width !== undefined)) return unmatched('the width of its inputs is not known');
  return {
    node,
    last: node,
    q,
    k,
    v,
    isKeyTransposed: false,
    heads: { query: heads, keyValue: heads },
    scale: own.attribute('scale', 'float') || undefined,
    masks: additive(scoreBias),
    ...masks,
    isCausal: own.int('unidirectional', 0) === 1,
    ...(pastK === '' ? {} : { past: { k: pastK, v: pastV } }),
    present: { k: read(view, presentK), v: read(view, presentV) },
    ...(bias === ''
      ? {}
      : {
          prepare: (edit, into) => {
            const parts = splitLast(edit, into, bias, widths);
            const [bq = '', bk = '', bv = ''] = parts;
            return { q: added(edit, into, q, bq), k: added(edit, into, k, bk), v: added(edit, into, v, bv) };
          },
        }),
  };
}

/** GroupQueryAttention is causal, and appends to the past, whose length is each entry's own. */
function matchGroupQuery(view: GraphView, node: Node): AttentionMatch | Unmatched {
  const own = new NodeView(node, 1, []);
  const unmatched = (why: string): Unmatched => ({ node: node.name, why });
  const [q = '', k = '', v = '', pastK = '', pastV = '', lengths = '', , cos = '', sin = ''] = node.inputs;
  const [, presentK, presentV, scores] = node.outputs;
  const [scoreBias = '', sinks = ''] = node.inputs.slice(10);
  if (view.isRead(scores)) return unmatched(`its scores ${scores} are read`);
  if (node.inputs[9]) return unmatched('its positions are given, which is not followed yet');
  const heads = own.int('num_heads', 1);
  const keyValueHeads = own.int('kv_num_heads', heads);
  const total = lastSide(view, q);
  const isPacked = k === '';
  if (total === undefined) return unmatched('the width of its queries is not known');
  const width = isPacked ? total / (heads + 2 * keyValueHeads) : total / heads;
  const rotates = own.int('do_rotary', 0) === 1;
  const rotated = lastSide(view, cos);
  if (rotates && rotated === undefined) return unmatched('the width of its rotary cache is not known');
  const windowSize = own.int('local_window_size', -1);
  const within: Pattern[] = windowSize > 0 ? [{ kind: 'window', left: windowSize - 1, right: EVER }] : [];
  const softcap = own.attribute('softcap', 'float');
  const isSmooth = own.int('smooth_softmax', 0) === 1;
  const keyLengths = lengths === '' ? undefined : { value: lengths, missing: 1 };
  const behind = keyLengths === undefined || pastK === '' ? undefined : { lengths: keyLengths, past: pastK, rows: q };
  return {
    node,
    last: node,
    q,
    k: isPacked ? q : k,
    v: isPacked ? q : v,
    isKeyTransposed: false,
    heads: { query: heads, keyValue: keyValueHeads },
    headWidth: width,
    scale: own.attribute('scale', 'float') || undefined,
    ...(softcap ? { softcap } : {}),
    masks: additive(scoreBias),
    ...(keyLengths === undefined ? {} : { keyLengths }),
    ...(behind === undefined ? {} : { behind }),
    isCausal: true,
    within,
    ...(pastK === '' ? {} : { past: { k: pastK, v: pastV } }),
    present: { k: read(view, presentK), v: read(view, presentV) },
    prepare: (edit, into) => {
      const sizes = [heads * width, keyValueHeads * width, keyValueHeads * width];
      const [pq = '', pk = '', pv = ''] = isPacked ? splitLast(edit, into, q, sizes) : [q, k, v];
      const rotate = (name: string, count: number): string =>
        rotates
          ? rotary(edit, into, node, { name, count, width, rotated: 2 * (rotated ?? 0), cos, sin, past: pastK, behind })
          : name;
      // Without sinks the denominator may still have a 1 of its own: a logit of 0.
      const zeros = (): string => edit.constant('float32', new Float32Array(heads), [heads]);
      const sinkLogits = sinks === '' ? (isSmooth ? zeros() : undefined) : sinks;
      return {
        q: rotate(pq, heads),
        k: rotate(pk, keyValueHeads),
        v: pv,
        ...(sinkLogits === undefined ? {} : { sinkLogits }),
      };
    },
  };
}

function matchPacked(view: GraphView, node: Node): AttentionMatch | Unmatched {
  const own = new NodeView(node, 1, []);
  const unmatched = (why: string): Unmatched => ({ node: node.name, why });
  const [x = '', weight = '', bias = '', keyMask = '', past = '', scoreBias = ''] = node.inputs;
  if (past !== '' || view.isRead(node.outputs[1])) return unmatched('it has a past or a present, packed in one value');
  if (own.int('do_rotary', 0) === 1) return unmatched('it rotates its queries and keys itself');
  const masks = keyMasksOf(view, keyMask);
  if (masks === undefined) return unmatched(`its mask ${keyMask} is no mask of keys [batch, keys]`);
  const columns = lastSide(view, weight);
  if (columns === undefined) return unmatched('the width of its weight is not known');
  const widths = own.attribute('qkv_hidden_sizes', 'ints') ?? [columns / 3, columns / 3, columns / 3];
  const heads = own.int('num_heads', 1);
  return {
    node,
    last: node,
    q: x,
    k: x,
    v: x,
    isKeyTransposed: false,
    heads: { query: heads, keyValue: heads },
    headWidth: (widths[0] ?? 0) / heads,
    scale: own.attribute('scale', 'float') || undefined,
    masks: additive(scoreBias),
    ...masks,
    isCausal: own.int('unidirectional', 0) === 1,
    prepare: (edit, into) => {
      const type = edit.values.get(x)?.type ?? 'float32';
      const product = edit.add(into, 'MatMul', [x, weight], { type, shape: undefined });
      const all = bias === '' ? product : added(edit, into, product, bias);
      const [q = '', k = '', v = ''] = splitLast(edit, into, all, widths, view.graph.values.get(x)?.shape.slice(0, 2));
      return { q, k, v };
    },
  };
}

/** Parts of the last axis. */
function splitLast(
  edit: GraphEdit,
  into: Node[],
  name: string,
  widths: readonly number[],
  before: readonly (number | string)[] = edit.values.get(name)?.shape.slice(0, -1) ?? [],
): string[] {
  const type = edit.values.get(name)?.type ?? 'float32';
  let start = 0;
  return widths.map((width) => {
    const inputs = [name, edit.integers([start]), edit.integers([start + width]), edit.integers([-1])];
    start += width;
    return edit.add(into, 'Slice', inputs, { type, shape: [...before, width] });
  });
}

function added(edit: GraphEdit, into: Node[], a: string, b: string): string {
  const { type, shape, ranked } = edit.values.get(a) ?? { type: 'float32', shape: [], ranked: false };
  return edit.add(into, 'Add', [a, b], { type, shape: ranked === false ? undefined : shape });
}

/** com.microsoft.RotaryEmbedding at positions that follow the past, each entry's own where its length is given. */
function rotary(
  edit: GraphEdit,
  into: Node[],
  node: Node,
  of: {
    readonly name: string;
    readonly count: number;
    readonly width: number;
    readonly rotated: number;
    readonly cos: string;
    readonly sin: string;
    readonly past: string;
    readonly behind: PastLengths | undefined;
  },
): string {
  const { name, count, width, rotated, cos, sin, past, behind } = of;
  const { type, shape } = edit.values.get(name) ?? { type: 'float32', shape: [] };
  // One position for the whole batch means: from there on.
  const first =
    behind !== undefined
      ? newPositions(edit, into, behind)
      : past === ''
        ? edit.integers([0])
        : edit.once(`length of ${past}`, () => {
            const sides = edit.add(into, 'Shape', [past], { type: 'int64', shape: [4] });
            return edit.add(into, 'Gather', [sides, edit.integers([2])], { type: 'int64', shape: [1] });
          });
  const attributes: Record<string, Attribute> = {
    num_heads: { type: 'int', value: count },
    ...(rotated < width ? { rotary_embedding_dim: { type: 'int', value: rotated } } : {}),
    ...(node.attributes.rotary_interleaved === undefined ? {} : { interleaved: node.attributes.rotary_interleaved }),
  };
  const output = edit.add(into, 'RotaryEmbedding', [name, first, cos, sin], { type, shape }, attributes);
  const last = into.pop();
  if (last !== undefined) into.push({ ...last, domain: 'com.microsoft' });
  return output;
}

/** A mask [B, M]; undefined for the other forms, such as vectors of starts and ends. */
function keyMasksOf(view: GraphView, name: string): Pick<AttentionMatch, 'keyMasks'> | undefined {
  if (name === '') return {};
  return view.tensor(name)?.shape?.length === 2 ? { keyMasks: [name] } : undefined;
}

function additive(name: string): MaskInput[] {
  return name === '' ? [] : [{ value: name, form: 'additive' }];
}

function read(view: GraphView, name: string | undefined): string | undefined {
  return view.isRead(name) ? name : undefined;
}

function lastSide(view: GraphView, name: string): number | undefined {
  const side = view.tensor(name)?.shape?.at(-1);
  return side === undefined ? undefined : constantOf(side);
}

import { checkPattern, type Pattern } from '../../pattern/index.ts';
import { ONNX_TYPE } from '../element-type.ts';
import { GraphEdit } from '../graph-edit.ts';
import type { Dimension, Graph, Node } from '../ir.ts';
import { type AttentionMatch, GraphView, type PreparedInputs, type Unmatched } from './attention-match.ts';
import { batchAttentionNode } from './batch-attention.ts';
import { keyMaskOf } from './key-mask.ts';
import { type KeyTerm, MaskError, maskTerms } from './mask-terms.ts';
import { matchMicrosoft } from './match-microsoft.ts';
import { matchAttentionNode } from './match-node.ts';
import { matchSoftmax, widthOf } from './match-softmax.ts';
import { placeNewKeys } from './past-lengths.ts';
import { constant, constantOf, format, minus, type Polynomial, plus } from './polynomial.ts';
import type { OnnxModel } from './read-onnx.ts';
import { isOne, type SymbolicTensor } from './symbolic-tensor.ts';

/** Attention that was found and replaced. */
export interface FoundAttention {
  /** Position among the attention that was found: 0 is the first layer's. */
  readonly index: number;
  /** The Softmax, or the attention node, that stood there. */
  readonly node: string;
  readonly operator: string;
  /** What it does now: what the model's own mask allows, and the pattern that was asked for. */
  readonly pattern: Pattern;
  /** H, where it is known. */
  readonly heads: number | undefined;
  /** Whether a mask of keys, such as padding, is applied too. */
  readonly hasKeyMask: boolean;
}

export interface RewriteOptions {
  /** The pattern of every layer, or of each by its position; perHead patterns count query heads. */
  readonly pattern: Pattern | ((layer: { readonly index: number; readonly node: string }) => Pattern);
}

export interface Rewritten {
  readonly graph: Graph;
  readonly found: readonly FoundAttention[];
  /** What looks like attention and was left dense. */
  readonly unmatched: readonly Unmatched[];
}

/**
 * Replaces the dense attention of an imported model by farfield.SparseAttention under a pattern. The model's own mask is kept: a causal
 * or windowed one becomes a part of the pattern, padding a mask of keys. With the pattern dense the outputs stay those of
 * the model. Run the result with compileBatchProgram(). Throws PatternError for a bad pattern.
 */
export function rewriteAttention(model: OnnxModel, options: RewriteOptions): Rewritten {
  const view = new GraphView(model);
  const edit = new GraphEdit(model.graph);
  const found: FoundAttention[] = [];
  const unmatched: Unmatched[] = [];
  for (const node of model.graph.nodes) {
    const match = matchNode(view, node);
    if (match === undefined) continue;
    if ('why' in match) {
      unmatched.push(match);
      continue;
    }
    try {
      const { pattern } = options;
      const index = found.length;
      const wanted = typeof pattern === 'function' ? pattern({ index, node: node.name }) : pattern;
      checkPattern(wanted);
      found.push(replace(view, edit, match, wanted, index));
    } catch (error) {
      if (!(error instanceof MaskError)) throw error;
      unmatched.push({ node: node.name, why: error.message });
    }
  }
  return { graph: edit.build(), found, unmatched };
}

function matchNode(view: GraphView, node: Node): AttentionMatch | Unmatched | undefined {
  if (node.domain === '' && node.operator === 'Softmax') return matchSoftmax(view, node);
  if (node.domain === '' && node.operator === 'Attention') return matchAttentionNode(view, node);
  if (node.domain === 'com.microsoft') return matchMicrosoft(view, node);
  return undefined;
}

function replace(
  view: GraphView,
  edit: GraphEdit,
  match: AttentionMatch,
  wanted: Pattern,
  index: number,
): FoundAttention {
  const nodes: Node[] = [];
  const shapeOf = (name: string): readonly Dimension[] | undefined => {
    const value = edit.values.get(name);
    return value === undefined || value.ranked === false ? undefined : value.shape;
  };
  const [output = ''] = match.last.outputs;
  const { patterns, keys } = termsOf(view, match);
  const width = widthOf(view, match.q);
  const headWidth =
    match.headWidth ?? (width === undefined || match.heads === undefined ? width : width / match.heads.query);
  const scale = match.scale ?? (headWidth === undefined ? undefined : 1 / Math.sqrt(headWidth));
  if (scale === undefined) throw new MaskError('the width of its heads is not known, and with it the scale');
  const type = view.graph.values.get(match.q)?.type ?? 'float32';

  /** [B, H, N, D] of a value [B, N, H*D]. */
  const withHeads = (name: string, heads: number): string => {
    const [batch = 'batch', rows = 'rows', width] = shapeOf(name) ?? [];
    const each = typeof width === 'number' ? width / heads : 'width';
    const parted = edit.add(nodes, 'Reshape', [name, edit.integers([0, 0, heads, -1])], {
      type,
      shape: [batch, rows, heads, each],
    });
    const perm = { perm: { type: 'ints', value: [0, 2, 1, 3] } } as const;
    return edit.add(nodes, 'Transpose', [parted], { type, shape: [batch, heads, rows, each] }, perm);
  };
  const floats = (name: string): string =>
    type === 'float32'
      ? name
      : edit.add(
          nodes,
          'Cast',
          [name],
          { type: 'float32', shape: shapeOf(name) },
          { to: { type: 'int', value: ONNX_TYPE.float32 } },
        );

  const { heads, past, present } = match;
  const prepared: PreparedInputs = match.prepare?.(edit, nodes) ?? { q: match.q, k: match.k, v: match.v };
  const q = floats(heads === undefined ? prepared.q : withHeads(prepared.q, heads.query));
  const all = (name: string, before: string | undefined, after: string | undefined): string => {
    const own = heads === undefined ? name : withHeads(name, heads.keyValue);
    if (before === undefined && after === undefined) return own;
    const parts = before === undefined ? [own] : [before, own];
    const operator = before === undefined ? 'Identity' : 'Concat';
    const attributes: Node['attributes'] = before === undefined ? {} : { axis: { type: 'int', value: 2 } };
    const [batch = 'batch', groups = 'heads', , width = 'width'] = shapeOf(own) ?? [];
    const { behind } = match;
    const finished = behind === undefined ? after : undefined;
    const joined = edit.add(
      nodes,
      operator,
      parts,
      { type, shape: [batch, groups, 'keys', width] },
      attributes,
      finished,
    );
    return behind === undefined ? joined : placeNewKeys(edit, nodes, { ...behind, joined, added: own }, after);
  };
  let k = all(prepared.k, past?.k, present?.k);
  if (match.isKeyTransposed) {
    const shape = shapeOf(k);
    const [batch = 'batch', groups = 'heads', width = 'width', rows = 'keys'] = shape ?? [];
    const perm = { perm: { type: 'ints', value: [0, 1, 3, 2] } } as const;
    k = edit.add(nodes, 'Transpose', [k], { type, shape: [batch, groups, rows, width] }, perm);
  }
  k = floats(k);
  const v = floats(all(prepared.v, past?.v, present?.v));
  const keyMask = keyMaskOf(edit, nodes, keys, match.keyLengths, { q, k });
  const { sinkLogits } = prepared;

  const of = [...patterns, ...(wanted.kind === 'dense' && patterns.length > 0 ? [] : [wanted])];
  const [only] = of;
  const pattern: Pattern = of.length === 1 && only !== undefined ? only : { kind: 'intersect', of };
  const isPlain = heads === undefined && type === 'float32';
  const attended = isPlain ? output : edit.free('attention');
  nodes.push(
    batchAttentionNode({
      name: match.node.name,
      pattern,
      scale,
      ...(match.softcap === undefined ? {} : { softcap: match.softcap }),
      ...(match.behind === undefined ? {} : { ownPasts: true }),
      inputs: {
        q,
        k,
        v,
        ...(keyMask === undefined ? {} : { keyMask }),
        ...(sinkLogits === undefined ? {} : { sinkLogits }),
      },
      output: attended,
    }),
  );
  if (!isPlain) {
    const [batch = 'batch', count = 'heads', rows = 'rows'] = shapeOf(q) ?? [];
    edit.values.set(attended, { name: attended, type: 'float32', shape: [batch, count, rows, 'width'] });
    finish(edit, nodes, attended, match, output);
  }
  edit.replacements.set(match.last, nodes);
  const known = heads?.query ?? constantOf(view.tensor(match.q)?.shape?.[1] ?? new Map([['?', 1]]));
  return {
    index,
    node: match.node.name,
    operator: match.node.operator,
    pattern,
    heads: known,
    hasKeyMask: keyMask !== undefined,
  };
}

/** From [B, H, N, E] in float32 to the output that the replaced nodes had. */
function finish(edit: GraphEdit, nodes: Node[], attended: string, match: AttentionMatch, output: string): void {
  const value = edit.values.get(output);
  const type = value?.type ?? 'float32';
  const shape = value === undefined || value.ranked === false ? undefined : value.shape;
  const cast = { to: { type: 'int', value: ONNX_TYPE[type] } } as const;
  if (match.heads === undefined) {
    edit.add(nodes, 'Cast', [attended], { type, shape }, cast, output);
    return;
  }
  const perm = { perm: { type: 'ints', value: [0, 2, 1, 3] } } as const;
  const rows = edit.add(nodes, 'Transpose', [attended], { type: 'float32', shape: undefined }, perm);
  const merged = [rows, edit.integers([0, 0, -1])];
  if (type === 'float32') edit.add(nodes, 'Reshape', merged, { type, shape }, {}, output);
  else {
    const floats = edit.add(nodes, 'Reshape', merged, { type: 'float32', shape });
    edit.add(nodes, 'Cast', [floats], { type, shape }, cast, output);
  }
}

/** What the model's own masks say. */
function termsOf(view: GraphView, match: AttentionMatch): { patterns: Pattern[]; keys: KeyTerm[] } {
  const patterns: Pattern[] = [...(match.isCausal ? [{ kind: 'causal' } as const] : []), ...(match.within ?? [])];
  const keys: KeyTerm[] = (match.keyMasks ?? []).map((value) => ({
    value,
    batchAxis: 0,
    keyAxis: 1,
    rank: 2,
    isInverted: false,
  }));
  const shape = view.tensor(match.q)?.shape;
  for (const { value, form, isInverted } of match.masks) {
    const mask = view.tensor(value);
    if (mask === undefined) throw new MaskError(`its mask ${value} does not exist`);
    const terms = maskTerms(mask, form, offsetOf(view, match, mask), isInverted);
    for (const pattern of terms.patterns) {
      if (!patterns.some((known) => JSON.stringify(known) === JSON.stringify(pattern))) patterns.push(pattern);
    }
    for (const term of terms.keys) {
      const batch = term.batchAxis === undefined ? undefined : view.tensor(term.value)?.shape?.[term.batchAxis];
      // A batch that is known to be another one would be a mask of something else.
      if (
        batch !== undefined &&
        shape?.[0] !== undefined &&
        constantOf(minus(batch, shape[0])) !== 0 &&
        constantOf(batch) !== undefined
      ) {
        throw new MaskError(
          `its mask of keys ${term.value} has ${format(batch)} rows, its queries a batch of ${format(shape[0])}`,
        );
      }
      keys.push(term);
    }
  }
  return { patterns, keys };
}

/** M - N: of the mask where it has both axes, else of the keys and queries. */
function offsetOf(view: GraphView, match: AttentionMatch, mask: SymbolicTensor): Polynomial {
  const [rows, columns] = mask.shape?.slice(-2) ?? [];
  if (rows !== undefined && columns !== undefined && !isOne(rows) && !isOne(columns)) return minus(columns, rows);
  const queries = view.tensor(match.q)?.shape?.at(-2);
  const keys = view.tensor(match.k)?.shape?.at(match.isKeyTransposed ? -1 : -2);
  const before = match.past === undefined ? constant(0) : view.tensor(match.past.k)?.shape?.[2];
  if (queries === undefined || keys === undefined || before === undefined) {
    throw new MaskError('the number of its keys is not known');
  }
  return minus(plus(keys, before), queries);
}

import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { Pattern } from '../pattern/pattern.ts';
import type { GraphBuilder } from './builder.ts';
import { fixedSize, mismatch, wantType } from './check.ts';
import type { AttentionNode, Attribute, Graph, Node, Value } from './ir.ts';

export interface SparseAttentionOptions {
  /** [rows, H*D] */
  readonly q: Value;
  /** [rows, G*D], or [keys, G*D] where the keys are another sequence's (cross attention): then k and v are inputs of the graph. */
  readonly k: Value;
  /** [rows, G*E], or [keys, G*E] */
  readonly v: Value;
  /** Queries of a model's own for its special tokens [S, H*D], e.g. Longformer's for global tokens. */
  readonly sinkQuery?: Value;
  /** One extra logit per head in the softmax's denominator [H]. */
  readonly sinkLogits?: Value;
  /** H */
  readonly heads: number;
  /** G, divides H. Default H. */
  readonly keyValueHeads?: number;
  readonly pattern: Pattern;
  /** Factor on q . k. Default 1 / sqrt(D). */
  readonly scale?: number;
  readonly softcap?: number;
  readonly name?: string;
}

/** Adds a `farfield.SparseAttention` node: [rows, H*E]. The pattern becomes a JSON attribute. */
export function sparseAttention(graph: GraphBuilder, options: SparseAttentionOptions): Value {
  const [output] = addNode(graph, options, false);
  if (output === undefined) throw new ArgumentError('SparseAttention: no output');
  return output;
}

/**
 * The same with the natural-log log-sum-exp of each row's scores [rows, H], -Infinity where a row sees no key, for graphs that merge
 * several attentions into one softmax.
 */
export function sparseAttentionWithLse(
  graph: GraphBuilder,
  options: SparseAttentionOptions,
): { readonly output: Value; readonly lse: Value } {
  const [output, lse] = addNode(graph, options, true);
  if (output === undefined || lse === undefined) throw new ArgumentError('SparseAttention: no output');
  return { output, lse };
}

function addNode(graph: GraphBuilder, options: SparseAttentionOptions, withLse: boolean): Value[] {
  const { q, k, v, sinkQuery, sinkLogits, heads, keyValueHeads = heads, name } = options;
  const fail = (why: string) => mismatch('SparseAttention', name, why, { q, k, v });
  for (const [argument, value] of Object.entries({ q, k, v })) {
    wantType('SparseAttention', argument, value, 'float32');
    if (value.shape.length !== 2) fail('q, k and v must be [rows, features]');
  }
  if (k.shape[0] !== v.shape[0]) fail('k and v must have the same rows');
  if (!(Number.isInteger(heads) && heads > 0 && heads % keyValueHeads === 0)) {
    fail(`${counted(keyValueHeads, 'key/value head')} must divide ${counted(heads, 'head')}`);
  }
  const width = fixedSize('SparseAttention', q, 1) / heads;
  const valueWidth = fixedSize('SparseAttention', v, 1) / keyValueHeads;
  if (!Number.isInteger(width)) fail(`q has no ${heads} heads of one width`);
  if (!Number.isInteger(valueWidth)) fail(`v has no ${keyValueHeads} heads of one width`);
  if (k.shape[1] !== width * keyValueHeads)
    fail(`k must be [keys, ${keyValueHeads} * ${width}], as q has width ${width}`);
  if (sinkLogits !== undefined && sinkLogits.shape.join() !== `${heads}`) {
    mismatch('SparseAttention', name, `sinkLogits must be [${heads}]`, { q, sinkLogits });
  }
  if (sinkQuery !== undefined && (sinkQuery.shape.length !== 2 || sinkQuery.shape[1] !== width * heads)) {
    mismatch('SparseAttention', name, `sinkQuery must be [tokens, ${heads} * ${width}]`, { q, sinkQuery });
  }
  const attributes: Record<string, Attribute> = {
    heads: { type: 'int', value: heads },
    key_value_heads: { type: 'int', value: keyValueHeads },
    pattern: { type: 'string', value: JSON.stringify(options.pattern) },
    scale: { type: 'float', value: options.scale ?? 1 / Math.sqrt(width) },
  };
  if (options.softcap !== undefined) attributes.softcap = { type: 'float', value: options.softcap };
  const [rows = 1] = q.shape;
  return graph.op({
    operator: 'SparseAttention',
    domain: 'farfield',
    inputs: [q, k, v, sinkQuery, sinkLogits],
    attributes,
    outputs: [
      { type: 'float32', shape: [rows, heads * valueWidth] },
      ...(withLse ? [{ type: 'float32', shape: [rows, heads] } as const] : []),
    ],
    name,
  });
}

export function isSparseAttention(node: Node): boolean {
  return node.domain === 'farfield' && node.operator === 'SparseAttention';
}

/** Reads a SparseAttention node back. Throws ArgumentError where it is not well formed. */
export function readSparseAttention(graph: Graph, node: Node, index: number): AttentionNode {
  const fail = (why: string): never => {
    throw new ArgumentError(`SparseAttention ${node.name}: ${why}`);
  };
  const number = (name: string): number | undefined => {
    const attribute = node.attributes[name];
    if (attribute === undefined) return undefined;
    return attribute.type === 'int' || attribute.type === 'float' ? attribute.value : fail(`${name} is not a number`);
  };
  const widthOf = (argument: string, name: string | undefined): number => {
    const size = graph.values.get(name ?? '')?.shape[1];
    return typeof size === 'number' ? size : fail(`${argument} must be [rows, features]`);
  };
  const [q = fail('q is absent'), k = fail('k is absent'), v = fail('v is absent'), sinkQuery, sinkLogits] =
    node.inputs;
  const heads = number('heads') ?? fail('attribute heads is absent');
  const keyValueHeads = number('key_value_heads') ?? heads;
  const width = widthOf('q', q) / heads;
  const { pattern } = node.attributes;
  const softcap = number('softcap');
  return {
    name: node.name,
    index,
    heads,
    keyValueHeads,
    width,
    valueWidth: widthOf('v', v) / keyValueHeads,
    pattern: pattern?.type === 'string' ? (JSON.parse(pattern.value) as Pattern) : fail('attribute pattern is absent'),
    scale: number('scale') ?? 1 / Math.sqrt(width),
    ...(softcap === undefined ? {} : { softcap }),
    inputs: { q, k, v, ...(sinkQuery ? { sinkQuery } : {}), ...(sinkLogits ? { sinkLogits } : {}) },
    output: node.outputs[0] ?? fail('it has no output'),
    ...(node.outputs[1] ? { lse: node.outputs[1] } : {}),
  };
}

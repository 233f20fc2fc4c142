import type { Expression } from '../../attention/index.ts';
import { ArgumentError } from '../../errors.ts';
import type { Pattern } from '../../pattern/pattern.ts';
import type { Attribute, Graph, Node } from '../ir.ts';

/**
 * `farfield.SparseAttention` in an imported graph, whose tensors have a batch axis: q [B, H, N, D], k [B, G, M, D], v [B, G, M, E].
 * The sizes are those of the tensors when it runs.
 */
export interface BatchAttentionNode {
  readonly name: string;
  /** Position among the graph's attention nodes: 0 is the first layer's. */
  readonly index: number;
  readonly pattern: Pattern;
  /** Factor on q . k. */
  readonly scale: number;
  readonly softcap?: number;
  /**
   * Set where keys follow a past whose length is each entry's own: its keys are the first that keyMask keeps, and its last query stands
   * at the last of them. (In a first prompt there is no past, N = M, and queries stand at their rows.)
   */
  readonly ownPasts?: true;
  /** Value names; keyMask is a bool [B, M] that is false for keys that nobody sees: padding. sinkLogits is [H]. */
  readonly inputs: {
    readonly q: string;
    readonly k: string;
    readonly v: string;
    readonly sinkLogits?: string;
    readonly keyMask?: string;
  };
  /** Tokens that are known when the graph runs only, beside the pattern. Exported graphs have them. */
  readonly globals?: GlobalTokens;
  /** What is done to the scores after the soft cap. Exported graphs have it. */
  readonly scores?: NodeScores;
  /** Value name, [B, H, N, E]. */
  readonly output: string;
  /**
   * Value name, [B, H, N]: the natural-log log-sum-exp of the scores; -1e30 or less where a query sees no key. Exported graphs have it.
   */
  readonly lse?: string;
}

/** A score modifier whose parameters are values of the graph: see attention/score/. */
export interface NodeScores {
  readonly expression: Expression;
  /** Names of values float32, by the parameters' names. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Value names of what is said of tokens that every query sees. */
export interface GlobalTokens {
  /** int64 [P], P at least 1, ascending: every place that is global in an entry of the batch. */
  readonly places: string;
  /** bool [B, M] or [1, M]: which of the places are global, in each entry. */
  readonly mask: string;
  /** float32 [P], added to the scores of these keys, but for the queries at these places. */
  readonly bias?: string;
  /** Whether the queries at these places see every key too; then `mask` is [1, M]. */
  readonly seeAll?: boolean;
}

/** The attribute that tells such a node from one with rows. */
const LAYOUT = 'layout';

/** Makes the node. Inputs are names of values. */
export function batchAttentionNode(node: Omit<BatchAttentionNode, 'index'>): Node {
  const { q, k, v, sinkLogits = '', keyMask = '' } = node.inputs;
  const { mask = '', places = '', bias = '', seeAll = false } = node.globals ?? {};
  const { expression, parameters = {} } = node.scores ?? {};
  const inputs = [q, k, v, '', sinkLogits, keyMask, mask, places, bias, ...Object.values(parameters)];
  while (inputs.at(-1) === '') inputs.pop();
  const attributes: Record<string, Attribute> = {
    [LAYOUT]: { type: 'string', value: 'BHND' },
    pattern: { type: 'string', value: JSON.stringify(node.pattern) },
    scale: { type: 'float', value: node.scale },
    ...(node.softcap === undefined ? {} : { softcap: { type: 'float', value: node.softcap } }),
    ...(seeAll ? { globals_see_all: { type: 'int', value: 1 } } : {}),
    ...(node.ownPasts ? { own_pasts: { type: 'int', value: 1 } } : {}),
    ...(expression === undefined
      ? {}
      : {
          scores: { type: 'string', value: JSON.stringify(expression) },
          score_parameters: { type: 'strings', value: Object.keys(parameters) },
        }),
  };
  return {
    name: node.name,
    domain: 'farfield',
    operator: 'SparseAttention',
    inputs,
    outputs: node.lse === undefined ? [node.output] : [node.output, node.lse],
    attributes,
  };
}

export function isBatchAttention(node: Node): boolean {
  return node.domain === 'farfield' && node.operator === 'SparseAttention' && node.attributes[LAYOUT] !== undefined;
}

/** Reads the node back. Throws ArgumentError where it is not well formed. */
export function readBatchAttention(_: Graph, node: Node, index: number): BatchAttentionNode {
  const fail = (why: string): never => {
    throw new ArgumentError(`SparseAttention ${node.name}: ${why}`);
  };
  if (!isBatchAttention(node)) fail('it has rows and no batch axis; run it with compileProgram()');
  const [q = fail('q is absent'), k = fail('k is absent'), v = fail('v is absent'), , sinkLogits, keyMask] =
    node.inputs;
  const [mask, places, bias, ...parameters] = node.inputs.slice(6);
  const { pattern, scale, softcap, own_pasts: ownPasts, globals_see_all: seeAll } = node.attributes;
  const { scores, score_parameters: names } = node.attributes;
  return {
    name: node.name,
    index,
    pattern: pattern?.type === 'string' ? (JSON.parse(pattern.value) as Pattern) : fail('attribute pattern is absent'),
    scale: scale?.type === 'float' ? scale.value : fail('attribute scale is absent'),
    ...(softcap?.type === 'float' ? { softcap: softcap.value } : {}),
    ...(ownPasts === undefined ? {} : { ownPasts: true }),
    inputs: { q, k, v, ...(sinkLogits ? { sinkLogits } : {}), ...(keyMask ? { keyMask } : {}) },
    ...(mask && places
      ? { globals: { mask, places, ...(bias ? { bias } : {}), ...(seeAll === undefined ? {} : { seeAll: true }) } }
      : {}),
    ...(scores?.type === 'string' && names?.type === 'strings'
      ? {
          scores: {
            expression: JSON.parse(scores.value) as Expression,
            parameters: Object.fromEntries(names.value.map((name, i) => [name, parameters[i] ?? fail(`no ${name}`)])),
          },
        }
      : {}),
    output: node.outputs[0] ?? fail('it has no output'),
    ...(node.outputs[1] ? { lse: node.outputs[1] } : {}),
  };
}

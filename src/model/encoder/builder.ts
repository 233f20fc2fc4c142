/** What the architectures build their graphs with: operators whose weights come from a checkpoint by name. */
import type { Expression, ScoreModifier, ScoreParameter } from '../../attention/index.ts';
import { ModelError } from '../../errors.ts';
import {
  add,
  type Dimension,
  type ElementType,
  GraphBuilder,
  gather,
  gelu,
  gemm,
  layerNorm,
  relu,
  rmsNorm,
  type SparseAttentionOptions,
  silu,
  sparseAttention,
  sparseAttentionWithLse,
  tanh,
  type Value,
} from '../../graph/index.ts';
import { dense, type Pattern } from '../../pattern/index.ts';
import type { Layout, PairsOf } from './layout.ts';
import type { EncoderTensors } from './tensors.ts';

/** What a node does to its scores: a modifier (attention/score/) whose parameters are stored tensors, and what a batch says of its rows. */
export interface Scores {
  readonly expression: Expression;
  /** Parameters that are stored, by their names in the expression. */
  readonly tables: Readonly<Record<string, { readonly tensor: string; readonly shape: readonly number[] }>>;
  /** The others. Default: there are none. */
  readonly rows?: (layout: Layout) => Readonly<Record<string, ScoreParameter>>;
}

export interface AttentionOptions extends SparseAttentionOptions {
  readonly name: string;
  readonly scores?: Scores | undefined;
}

export interface GlobalAttentionOptions {
  /** What the other rows see [rows, hidden]. */
  readonly local: Value;
  /** [rows, hidden] */
  readonly x: Value;
  readonly heads: number;
  readonly name: string;
  /** What the global rows of a batch see. */
  readonly pairs: PairsOf;
}

export interface SelfAttentionOptions extends LinearOptions {
  /** [rows, hidden] */
  readonly x: Value;
  readonly heads: number;
  readonly pattern: Pattern;
  /** Of the node, and the start of the names of the projections. */
  readonly name: string;
  /** What tokens with global attention see, where there are such tokens: see globalAttention(). */
  readonly globals?: PairsOf | undefined;
}

export interface LinearOptions {
  /** Default true. */
  readonly bias?: boolean;
}

export interface NormOptions {
  readonly epsilon: number;
  /** Default true. */
  readonly bias?: boolean;
}

/** Activations by the names of config.json. */
const ACTIVATIONS: Readonly<Record<string, (graph: GraphBuilder, x: Value) => Value>> = {
  gelu: (graph, x) => gelu(graph, x),
  gelu_new: (graph, x) => gelu(graph, x, { approximate: 'tanh' }),
  gelu_fast: (graph, x) => gelu(graph, x, { approximate: 'tanh' }),
  gelu_pytorch_tanh: (graph, x) => gelu(graph, x, { approximate: 'tanh' }),
  relu,
  silu,
  swish: silu,
  tanh,
};

/** @throws ModelError for an activation that is not implemented. */
export function checkActivation(name: string, field: string, source: string): string {
  if (Object.hasOwn(ACTIVATIONS, name)) return name;
  throw new ModelError(`${source}: ${field} is "${name}"; Farfield implements ${Object.keys(ACTIVATIONS).join(', ')}`);
}

/** What a node does to its scores in a batch. */
export type ScoresOf = (layout: Layout) => ScoreModifier;

/** A graph in the making. Tensors have the names of the bare encoder; initializers those of the file. */
export class EncoderBuilder {
  readonly graph: GraphBuilder;
  readonly tensors: EncoderTensors;
  /** By the name of an attention node: its pairs in a batch. */
  readonly pairs = new Map<string, PairsOf>();
  readonly #scores = new Map<string, Scores>();

  constructor(name: string, tensors: EncoderTensors) {
    this.graph = new GraphBuilder(name);
    this.tensors = tensors;
  }

  /** What feeds() gives: an input of the graph. */
  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    return this.graph.input(name, type, shape);
  }

  /** A stored tensor, once per graph: a tied matrix is one initializer. `change` is applied to every number when it is loaded. */
  tensor(name: string, shape: readonly number[], change?: (value: number) => number): Value {
    return this.graph.once(`tensor ${name}`, () => {
      const asked = this.tensors.ask(name, shape);
      const load = change === undefined ? asked.load : async () => (await asked.load()).map(change);
      return this.graph.initializer(asked.name, 'float32', shape, load);
    });
  }

  /** x [rows, in] times the matrix `${name}.weight` [out, in], plus `${name}.bias`: [rows, out]. */
  linear(x: Value, name: string, out: number, { bias = true }: LinearOptions = {}): Value {
    const matrix = this.tensor(`${name}.weight`, [out, widthOf(x)]);
    return gemm(this.graph, x, matrix, bias ? this.tensor(`${name}.bias`, [out]) : undefined, { transB: true, name });
  }

  /** x [rows, in] times a stored matrix [out, in], perhaps a tied one, plus a bias: [rows, out]. */
  project(x: Value, matrix: string, out: number, bias: string | undefined): Value {
    const weight = this.tensor(matrix, [out, widthOf(x)]);
    return gemm(this.graph, x, weight, bias === undefined ? undefined : this.tensor(bias, [out]), { transB: true });
  }

  /** Layer normalization of x [rows, width]. */
  norm(x: Value, name: string, { epsilon, bias = true }: NormOptions): Value {
    const width = widthOf(x);
    const weight = this.tensor(`${name}.weight`, [width]);
    return layerNorm(this.graph, x, weight, bias ? this.tensor(`${name}.bias`, [width]) : undefined, { epsilon, name });
  }

  /** Rows of the table `${name}.weight` [count, width] at ids [rows]: [rows, width]. */
  embedding(ids: Value, name: string, count: number, width: number): Value {
    return gather(this.graph, this.tensor(`${name}.weight`, [count, width]), ids, name);
  }

  activation(x: Value, name: string): Value {
    const apply = ACTIVATIONS[name];
    if (apply === undefined) throw new ModelError(`activation "${name}" is not implemented`);
    return apply(this.graph, x);
  }

  /** x / sqrt(mean(x^2) + epsilon) * weight, of x [rows, width]. */
  rmsNorm(x: Value, name: string, epsilon: number): Value {
    return rmsNorm(this.graph, x, this.tensor(`${name}.weight`, [widthOf(x)]), { epsilon, name });
  }

  /** An attention node; `pairs` says for a batch which of its packed rows attend. */
  attention({ scores, ...options }: AttentionOptions, pairs: PairsOf): Value {
    const value = sparseAttention(this.graph, options);
    this.#register(value, scores, pairs);
    return value;
  }

  /** attention() of x's projections `${name}.query`, `${name}.key` and `${name}.value`: [rows, hidden]. */
  selfAttention({ x, heads, pattern, name, globals, ...linear }: SelfAttentionOptions, pairs: PairsOf): Value {
    const [q, k, v] = ['query', 'key', 'value'].map((part) =>
      this.linear(x, `${name}.${part}`, widthOf(x), linear),
    ) as [Value, Value, Value];
    const local = this.attention({ q, k, v, heads, pattern, name }, pairs);
    return globals === undefined ? local : this.globalAttention({ local, x, heads, name, pairs: globals });
  }

  /**
   * Tokens with global attention and projections of their own, `${name}.query_global` and so on, over all rows: `local` [rows, hidden],
   * which is zero in their rows, with their attention there.
   */
  globalAttention(options: GlobalAttentionOptions): Value {
    const { local, x, heads, name, pairs } = options;
    const [q, k, v] = ['query', 'key', 'value'].map((part) => this.linear(x, `${name}.${part}_global`, widthOf(x))) as [
      Value,
      Value,
      Value,
    ];
    const all = this.attention({ q, k, v, heads, pattern: dense(), name: `${name}.global` }, pairs);
    return add(this.graph, local, all);
  }

  /** attention(), with the log-sum-exp of each row and head. */
  attentionWithLse({ scores, ...options }: AttentionOptions, pairs: PairsOf): { output: Value; lse: Value } {
    const values = sparseAttentionWithLse(this.graph, options);
    this.#register(values.output, scores, pairs);
    return values;
  }

  /** Reads the tables of all scores. */
  async loadScores(): Promise<Map<string, ScoresOf>> {
    const loaded = new Map<string, ScoresOf>();
    for (const [node, { expression, tables, rows }] of this.#scores) {
      const read: Record<string, ScoreParameter> = {};
      for (const [name, { tensor, shape }] of Object.entries(tables)) {
        read[name] = { shape, data: await this.tensors.ask(tensor, shape).load() };
      }
      loaded.set(node, (layout) => ({ expression, parameters: { ...read, ...rows?.(layout) } }));
    }
    return loaded;
  }

  #register(value: Value, scores: Scores | undefined, pairs: PairsOf): void {
    this.pairs.set(value.name, pairs);
    if (scores === undefined) return;
    for (const { tensor, shape } of Object.values(scores.tables)) this.tensors.ask(tensor, shape);
    this.#scores.set(value.name, scores);
  }
}

/** The width of [rows, width]. */
export function widthOf(x: Value): number {
  const width = x.shape[1];
  if (typeof width !== 'number') throw new TypeError(`${x.name} must be [rows, width]`);
  return width;
}

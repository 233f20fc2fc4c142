/** What the architectures build their graphs with: operators whose weights come from a checkpoint by name. */
import type { ScoreModifier } from '../../attention/index.ts';
import { ModelError } from '../../errors.ts';
import {
  GraphBuilder,
  gather,
  gelu,
  gemm,
  layerNorm,
  relu,
  type SparseAttentionOptions,
  silu,
  sparseAttention,
  tanh,
  type Value,
} from '../../graph/index.ts';
import type { PairsOf } from './layout.ts';
import type { EncoderTensors } from './tensors.ts';

/** A stored table. */
export interface ScoreTable {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** What a node does to its scores. */
export type Scores = (read: (name: string) => Promise<ScoreTable>) => Promise<ScoreModifier>;

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

/** A graph in the making. Tensors have the names of the bare encoder; initializers those of the file. */
export class EncoderBuilder {
  readonly graph: GraphBuilder;
  readonly tensors: EncoderTensors;
  /** By the name of an attention node: its pairs in a batch. */
  readonly pairs = new Map<string, PairsOf>();
  /** By the name of an attention node: what is done to its scores, made of stored tables. */
  readonly scores = new Map<string, Scores>();

  constructor(name: string, tensors: EncoderTensors) {
    this.graph = new GraphBuilder(name);
    this.tensors = tensors;
  }

  /** A stored tensor, once per graph: a tied matrix is one initializer. */
  tensor(name: string, shape: readonly number[]): Value {
    return this.graph.once(`tensor ${name}`, () => {
      const asked = this.tensors.ask(name, shape);
      return this.graph.initializer(asked.name, 'float32', shape, asked.load);
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

  /** An attention node; `pairs` says for a batch which of its packed rows attend. */
  attention(options: SparseAttentionOptions & { readonly name: string }, pairs: PairsOf): Value {
    const value = sparseAttention(this.graph, options);
    this.pairs.set(value.name, pairs);
    return value;
  }
}

/** The width of [rows, width]. */
export function widthOf(x: Value): number {
  const width = x.shape[1];
  if (typeof width !== 'number') throw new TypeError(`${x.name} must be [rows, width]`);
  return width;
}

/**
 * A decoder to train: pre-normalized layers (Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3), each
 *
 *     x += output(attention(rotary(query(norm(x))), rotary(key(norm(x))), value(norm(x))))
 *     x += down(gelu(up(norm(x))))         or         down(silu(gate(norm(x))) * up(norm(x)))
 *
 * with a pattern of its own for every layer and head, rotary or learned positions, and a head that shares the embedding. Linear
 * layers have no biases. Shape letters: H heads, G key/value heads, D their width.
 */
import { ArgumentError, ModelError } from '../errors.ts';
import {
  add,
  type Graph,
  GraphBuilder,
  gatherElements,
  gelu,
  gemm,
  layerNorm,
  logSoftmax,
  mul,
  neg,
  ROWS,
  rmsNorm,
  rotary,
  silu,
  sparseAttention,
  split,
  type Value,
} from '../graph/index.ts';
import { causal, intersect, type Pattern } from '../pattern/index.ts';
import { normal } from './initialize.ts';
import { RowModel, type RowModelOptions } from './row-model.ts';
import type { Parameter } from './trainable.ts';

export interface GptConfig {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  /** H; divides hiddenSize into an even width where positions are rotary. */
  readonly heads: number;
  /** G, divides H. Default H. */
  readonly keyValueHeads?: number;
  /** Width of the feed-forward part. Default 4 * hiddenSize, or 8/3 of it (to a multiple of 16) where it is gated. */
  readonly intermediateSize?: number;
  /** Most positions; with learned ones the size of their table. */
  readonly context: number;
  /** What a layer sees, always cut to the past: layer i has `patterns[i % patterns.length]`; perHead() gives each head its own. Default: all. */
  readonly patterns?: readonly Pattern[];
  /** Default 'rotary'. */
  readonly positions?: 'rotary' | 'learned';
  /** Base of the rotary angles. Default 10000. */
  readonly rotaryBase?: number;
  /** 'gelu' (default) or 'swiglu' (Shazeer, "GLU Variants Improve Transformer", equation 6). */
  readonly activation?: 'gelu' | 'swiglu';
  /** 'layer' (default) or 'rms'. */
  readonly normalization?: 'layer' | 'rms';
  /** Default 1e-5. */
  readonly normEpsilon?: number;
}

export interface GptOptions extends RowModelOptions {
  /** Of the initial weights. Default 0. */
  readonly seed?: number;
  /** Weights to begin with instead, by the names of gptParameters(). */
  readonly weights?: ReadonlyMap<string, Float32Array>;
}

/** A model that trains; see Trainable. Ends with dispose(). */
export async function createGpt(config: GptConfig, options: GptOptions = {}): Promise<RowModel> {
  const { seed = 0, weights } = options;
  const parameters = gptParameters(config, seed).map((parameter) => {
    const data = weights?.get(parameter.name);
    if (data === undefined) {
      if (weights !== undefined) throw new ArgumentError(`createGpt: weights has no ${parameter.name}`);
      return parameter;
    }
    if (data.length !== parameter.data.length) {
      throw new ArgumentError(
        `createGpt: ${parameter.name} has ${data.length} numbers; [${parameter.shape.join(', ')}] needs ${parameter.data.length}`,
      );
    }
    return { ...parameter, data };
  });
  const { hiddenSize, heads, rotaryBase = 10_000, positions = 'rotary' } = config;
  const width = hiddenSize / heads;
  return RowModel.create(
    {
      graph: gptGraph(config),
      parameters,
      vocabularySize: config.vocabularySize,
      context: config.context,
      lookups:
        positions === 'learned'
          ? [
              { table: 'embedding', by: 'inputs' },
              { table: 'positions', by: 'positions' },
            ]
          : [{ table: 'embedding', by: 'inputs' }],
      ...(positions === 'rotary'
        ? { frequencies: Float64Array.from({ length: width / 2 }, (_, i) => rotaryBase ** ((-2 * i) / width)) }
        : {}),
    },
    options,
  );
}

/** The parameters with their initial numbers: see specifications(). */
export function gptParameters(config: GptConfig, seed: number): Parameter[] {
  return specifications(config).map(({ name, shape, start }) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const data = typeof start === 'number' ? normal(length, start, seed, name) : new Float32Array(length);
    return { name, shape, data: start === 'ones' ? data.fill(1) : data };
  });
}

interface Specification {
  readonly name: string;
  readonly shape: readonly number[];
  /** Initial numbers: the deviation of normal ones, or all alike. */
  readonly start: number | 'ones' | 'zeros';
}

/**
 * As in GPT-2: deviation 0.02 at its width of 768, more for narrower layers, and divided by the root of the number of residual
 * additions for what is added to the residual.
 */
function specifications(config: GptConfig): Specification[] {
  const { hiddenSize, vocabularySize, context, layers } = config;
  const { queries, keys, inner, isGated, isCentered } = sizesOf(config);
  const residual = 1 / Math.sqrt(2 * layers);
  const linear = (name: string, rows: number, columns: number, factor = 1): Specification => ({
    name,
    shape: [rows, columns],
    start: 0.02 * Math.sqrt(768 / columns) * factor,
  });
  const norm = (name: string): Specification[] => [
    { name: `${name}.weight`, shape: [hiddenSize], start: 'ones' },
    ...(isCentered ? [{ name: `${name}.bias`, shape: [hiddenSize], start: 'zeros' } as const] : []),
  ];
  return [
    { name: 'embedding', shape: [vocabularySize, hiddenSize], start: 0.02 },
    ...(config.positions === 'learned' ? [{ name: 'positions', shape: [context, hiddenSize], start: 0.02 }] : []),
    ...Array.from({ length: layers }, (_, i) => [
      ...norm(`layers.${i}.attention_norm`),
      linear(`layers.${i}.qkv`, queries + 2 * keys, hiddenSize),
      linear(`layers.${i}.output`, hiddenSize, queries, residual),
      ...norm(`layers.${i}.feed_forward_norm`),
      linear(`layers.${i}.up`, isGated ? 2 * inner : inner, hiddenSize),
      linear(`layers.${i}.down`, hiddenSize, inner, residual),
    ]).flat(),
    ...norm('norm'),
  ];
}

/**
 * `hidden` [rows, hidden] (embeddings, and positions where they are learned), `cos` and `sin` [rows, D/2] where they are rotary, and
 * `targets` [rows, 1] to `losses` [rows, 1], minus the log probability of each target. The parameters are inputs.
 */
export function gptGraph(config: GptConfig): Graph {
  const { hiddenSize, heads, keyValueHeads = heads, patterns = [causal()], normEpsilon: epsilon } = config;
  const sizes = sizesOf(config);
  const graph = new GraphBuilder('gpt');
  let x = graph.input('hidden', 'float32', [ROWS, hiddenSize]);
  const angles =
    config.positions === 'learned'
      ? undefined
      : {
          cos: graph.input('cos', 'float32', [ROWS, sizes.width / 2]),
          sin: graph.input('sin', 'float32', [ROWS, sizes.width / 2]),
        };
  const targets = graph.input('targets', 'int64', [ROWS, 1]);
  const shapes = new Map(specifications(config).map(({ name, shape }) => [name, shape]));
  const parameter = (name: string): Value => graph.input(name, 'float32', shapes.get(name) ?? []);
  const norm = (name: string, value: Value): Value => {
    const options = epsilon === undefined ? {} : { epsilon };
    const weight = parameter(`${name}.weight`);
    return sizes.isCentered
      ? layerNorm(graph, value, weight, parameter(`${name}.bias`), options)
      : rmsNorm(graph, value, weight, options);
  };
  const linear = (name: string, value: Value): Value =>
    gemm(graph, value, parameter(name), undefined, { transB: true, name: `${name}_product` });

  for (let i = 0; i < config.layers; i++) {
    const layer = `layers.${i}`;
    const projected = linear(`${layer}.qkv`, norm(`${layer}.attention_norm`, x)); // [rows, (H + 2 G) D]
    const [q, k, v] = split(graph, projected, [sizes.queries, sizes.keys, sizes.keys], 1) as [Value, Value, Value];
    const attended = sparseAttention(graph, {
      q: angles === undefined ? q : rotary(graph, q, { heads, ...angles }),
      k: angles === undefined ? k : rotary(graph, k, { heads: keyValueHeads, ...angles }),
      v,
      heads,
      keyValueHeads,
      pattern: intersect(causal(), patterns[i % patterns.length] ?? causal()),
      name: `${layer}.attention`,
    }); // [rows, H*D]
    const middle = add(graph, x, linear(`${layer}.output`, attended));
    const wide = linear(`${layer}.up`, norm(`${layer}.feed_forward_norm`, middle)); // [rows, inner], or gate and up
    const fed = linear(`${layer}.down`, activate(graph, wide, sizes));
    x = graph.boundary(add(graph, middle, fed, `${layer}.residual`));
  }
  const logits = gemm(graph, norm('norm', x), parameter('embedding'), undefined, { transB: true, name: 'logits' }); // [rows, vocabulary]
  graph.output(neg(graph, gatherElements(graph, logSoftmax(graph, logits), targets, 1)), 'losses');
  return graph.build();
}

function activate(graph: GraphBuilder, wide: Value, { isGated, inner }: Sizes): Value {
  if (!isGated) return gelu(graph, wide);
  const [gate, up] = split(graph, wide, [inner, inner], 1) as [Value, Value];
  return mul(graph, silu(graph, gate), up);
}

interface Sizes {
  /** D */
  readonly width: number;
  /** H*D and G*D */
  readonly queries: number;
  readonly keys: number;
  readonly inner: number;
  readonly isGated: boolean;
  readonly isCentered: boolean;
}

/** @throws ModelError where the numbers do not fit each other. */
function sizesOf(config: GptConfig): Sizes {
  const { hiddenSize, heads, keyValueHeads = heads, activation = 'gelu', positions = 'rotary' } = config;
  const isGated = activation === 'swiglu';
  const { intermediateSize = isGated ? 16 * Math.ceil(hiddenSize / 6) : 4 * hiddenSize } = config;
  const numbers = { ...config, keyValueHeads, intermediateSize };
  for (const name of [
    'vocabularySize',
    'hiddenSize',
    'layers',
    'heads',
    'keyValueHeads',
    'intermediateSize',
    'context',
  ] as const) {
    const value = numbers[name];
    if (!(Number.isInteger(value) && value > 0))
      throw new ModelError(`${name} must be a positive integer, got ${value}`);
  }
  const width = hiddenSize / heads;
  if (!Number.isInteger(width) || heads % keyValueHeads !== 0) {
    throw new ModelError(
      `heads (${heads}) must divide hiddenSize (${hiddenSize}), and keyValueHeads (${keyValueHeads}) must divide heads`,
    );
  }
  if (positions === 'rotary' && width % 2 !== 0) {
    throw new ModelError(`rotary positions need heads of an even width; ${hiddenSize} / ${heads} is ${width}`);
  }
  return {
    width,
    queries: hiddenSize,
    keys: keyValueHeads * width,
    inner: intermediateSize,
    isGated,
    isCentered: (config.normalization ?? 'layer') === 'layer',
  };
}

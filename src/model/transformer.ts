/**
 * The layers that the trainable models share: pre-normalized (Xiong et al., "On Layer Normalization in the Transformer Architecture",
 * figure 1b), each
 *
 *     x += output(attention(rotary(query(norm(x))), rotary(key(norm(x))), value(norm(x))))
 *     x += down(gelu(up(norm(x))))         or         down(silu(gate(norm(x))) * up(norm(x)))
 *
 * with a pattern of its own for every layer and head. Linear layers have no biases. Shape letters: H heads, G key/value heads, D
 * their width.
 */
import { counted } from '../counted.ts';
import { ArgumentError, ModelError } from '../errors.ts';
import {
  add,
  type GraphBuilder,
  gelu,
  gemm,
  layerNorm,
  mul,
  ROWS,
  rmsNorm,
  rotary,
  silu,
  sparseAttention,
  split,
  type Value,
} from '../graph/index.ts';
import { causal, dense, intersect, type Pattern } from '../pattern/index.ts';
import { normal } from './initialize.ts';
import type { Parameter } from './trainable.ts';

export interface TransformerConfig {
  readonly hiddenSize: number;
  readonly layers: number;
  /** H; divides hiddenSize, into an even width where positions are rotary. */
  readonly heads: number;
  /** G, divides H. Default H. */
  readonly keyValueHeads?: number;
  /** Width of the feed-forward part. Default 4 * hiddenSize, or 8/3 of it (to a multiple of 16) where it is gated. */
  readonly intermediateSize?: number;
  /** Most positions; with learned ones the size of their table. */
  readonly context: number;
  /**
   * What a layer sees: layer i has `patterns[i % patterns.length]`, e.g. [dense(), window(128)] for layers that alternate as in GPT-3
   * (Brown et al., section 2.1); perHead() gives each head its own. Default: everything. A decoder cuts it to the past.
   */
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

/** What begins a model and its weights. */
export interface InitialWeights {
  /** Of the initial weights. Default 0. */
  readonly seed?: number;
  /** Weights to begin with instead, by the names of the parameters. */
  readonly weights?: ReadonlyMap<string, Float32Array>;
}

export interface Specification {
  readonly name: string;
  readonly shape: readonly number[];
  /** Initial numbers: the deviation of normal ones, or all alike. */
  readonly start: number | 'ones' | 'zeros';
  /** Begins so too where other weights are given without it. Default false. */
  readonly isOptional?: boolean;
}

/** The parameters by their specifications, drawn by the seed or taken from given weights. */
export function initialParameters(
  specifications: readonly Specification[],
  { seed = 0, weights }: InitialWeights = {},
): Parameter[] {
  return specifications.map(({ name, shape, start, isOptional = false }) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const given = weights?.get(name);
    const isLeftOut = isOptional && given === undefined;
    if (weights !== undefined && given?.length !== length && !isLeftOut) {
      throw new ArgumentError(
        `weights.${name} must have ${counted(length, 'number')}, [${shape.join(', ')}]; it has ${given?.length ?? 'none'}`,
      );
    }
    if (given !== undefined) return { name, shape, data: given };
    const data = typeof start === 'number' ? normal(length, start, seed, name) : new Float32Array(length);
    return { name, shape, data: start === 'ones' ? data.fill(1) : data };
  });
}

/** A linear layer [rows, columns]: deviation 0.02 at GPT-2's width of 768, more for narrower layers. */
export function linearSpecification(name: string, rows: number, columns: number, factor = 1): Specification {
  return { name, shape: [rows, columns], start: 0.02 * Math.sqrt(768 / columns) * factor };
}

/**
 * The parameters of the layers and the norm after them. What is added to the residual begins smaller, by the root of the number of
 * additions, as in GPT-2.
 */
export function layerSpecifications(config: TransformerConfig): Specification[] {
  const { hiddenSize, layers } = config;
  const { queries, keys, inner, isGated, isCentered } = sizesOf(config);
  const residual = 1 / Math.sqrt(2 * layers);
  const norm = (name: string): Specification[] => [
    { name: `${name}.weight`, shape: [hiddenSize], start: 'ones' },
    ...(isCentered ? [{ name: `${name}.bias`, shape: [hiddenSize], start: 'zeros' } as const] : []),
  ];
  return [
    ...Array.from({ length: layers }, (_, i) => [
      ...norm(`layers.${i}.attention_norm`),
      linearSpecification(`layers.${i}.qkv`, queries + 2 * keys, hiddenSize),
      linearSpecification(`layers.${i}.output`, hiddenSize, queries, residual),
      ...norm(`layers.${i}.feed_forward_norm`),
      linearSpecification(`layers.${i}.up`, isGated ? 2 * inner : inner, hiddenSize),
      linearSpecification(`layers.${i}.down`, hiddenSize, inner, residual),
    ]).flat(),
    ...norm('norm'),
  ];
}

/** The table of learned positions, where positions are learned. */
export function positionSpecifications({ positions, context, hiddenSize }: TransformerConfig): Specification[] {
  return positions === 'learned' ? [{ name: 'positions', shape: [context, hiddenSize], start: 0.02 }] : [];
}

/** Of the rotary angles [D/2]; undefined where positions are learned. */
export function frequenciesOf(config: TransformerConfig): Float64Array | undefined {
  const { hiddenSize, heads, rotaryBase = 10_000, positions = 'rotary' } = config;
  const width = hiddenSize / heads;
  if (positions !== 'rotary') return undefined;
  return Float64Array.from({ length: width / 2 }, (_, i) => rotaryBase ** ((-2 * i) / width));
}

/**
 * Adds the layers and the norm after them: x [rows, hidden] to [rows, hidden]. Makes the inputs `cos` and `sin` [rows, D/2] where
 * positions are rotary, and one for each parameter.
 */
export function transformerLayers(
  graph: GraphBuilder,
  input: Value,
  config: TransformerConfig,
  { isCausal }: { readonly isCausal: boolean },
): Value {
  const { heads, keyValueHeads = heads, patterns = [], normEpsilon: epsilon, positions = 'rotary' } = config;
  const sizes = sizesOf(config);
  const shapes = new Map(layerSpecifications(config).map(({ name, shape }) => [name, shape]));
  const parameter = (name: string): Value => graph.input(name, 'float32', shapes.get(name) ?? []);
  const angle = (name: string): Value => graph.input(name, 'float32', [ROWS, sizes.width / 2]);
  const angles = positions === 'learned' ? undefined : { cos: angle('cos'), sin: angle('sin') };
  const rotated = (value: Value, own: number): Value =>
    angles === undefined ? value : rotary(graph, value, { heads: own, ...angles });
  const norm = (name: string, value: Value): Value => {
    const options = epsilon === undefined ? {} : { epsilon };
    const weight = parameter(`${name}.weight`);
    return sizes.isCentered
      ? layerNorm(graph, value, weight, parameter(`${name}.bias`), options)
      : rmsNorm(graph, value, weight, options);
  };
  const linear = (name: string, value: Value): Value =>
    gemm(graph, value, parameter(name), undefined, { transB: true, name: `${name}_product` });

  let x = input;
  for (let i = 0; i < config.layers; i++) {
    const layer = `layers.${i}`;
    const seen = patterns[i % patterns.length] ?? dense();
    const projected = linear(`${layer}.qkv`, norm(`${layer}.attention_norm`, x)); // [rows, (H + 2 G) D]
    const [q, k, v] = split(graph, projected, [sizes.queries, sizes.keys, sizes.keys], 1) as [Value, Value, Value];
    const attended = sparseAttention(graph, {
      q: rotated(q, heads),
      k: rotated(k, keyValueHeads),
      v,
      heads,
      keyValueHeads,
      pattern: isCausal ? intersect(causal(), seen) : seen,
      name: `${layer}.attention`,
    }); // [rows, H*D]
    const middle = add(graph, x, linear(`${layer}.output`, attended));
    const wide = linear(`${layer}.up`, norm(`${layer}.feed_forward_norm`, middle)); // [rows, inner], or gate and up
    x = graph.boundary(add(graph, middle, linear(`${layer}.down`, activate(graph, wide, sizes)), `${layer}.residual`));
  }
  return norm('norm', x);
}

function activate(graph: GraphBuilder, wide: Value, { isGated, inner }: Sizes): Value {
  if (!isGated) return gelu(graph, wide);
  const [gate, up] = split(graph, wide, [inner, inner], 1) as [Value, Value];
  return mul(graph, silu(graph, gate), up);
}

export interface Sizes {
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
export function sizesOf(config: TransformerConfig): Sizes {
  const { hiddenSize, heads, keyValueHeads = heads, activation = 'gelu', positions = 'rotary' } = config;
  const isGated = activation === 'swiglu';
  const { intermediateSize = isGated ? 16 * Math.ceil(hiddenSize / 6) : 4 * hiddenSize } = config;
  const numbers = { ...config, keyValueHeads, intermediateSize };
  for (const name of ['hiddenSize', 'layers', 'heads', 'keyValueHeads', 'intermediateSize', 'context'] as const) {
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

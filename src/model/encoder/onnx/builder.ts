/** Builds an encoder's layers for an ONNX file: what batches decide elsewhere is computed from the tokens in the graph. */
import { ArgumentError } from '../../../errors.ts';
import { type Dimension, type ElementType, gemm, mul, type NodeOfRows, type Value } from '../../../graph/index.ts';
import type { Pattern } from '../../../pattern/index.ts';
import type { EncoderOnnx } from '../architecture.ts';
import { type AttentionOptions, EncoderBuilder, type GlobalAttentionOptions, widthOf } from '../builder.ts';
import type { PairsOf } from '../layout.ts';
import type { EncoderTensors } from '../tensors.ts';
import { type GlobalTokenValues, OnnxTokens, type OnnxTokensOptions } from './tokens.ts';

/** Added to scores of tokens that do not count; a text of only these still has a finite softmax. */
const FORBIDDEN = -1e30;

/** What a file says of an attention node beside its options. */
export interface OnnxAttention {
  /** Keys by themselves, without what the architecture says of the tokens: batch and their number int64 [2], and bool [batch, keys]. */
  readonly keys?: { readonly shape: Value; readonly mask?: Value };
  /** Keys and values by head [batch, heads, keys, width], in the place of the options' rows. */
  readonly byHead?: { readonly k: Value; readonly v: Value };
  /** Parameters of the scores that are not stored, by name. */
  readonly parameters?: Readonly<Record<string, Value>>;
}

/** Pairs of packed rows, which a file has not. */
const NO_PAIRS: PairsOf = () => [];

function namesOf({ places, mask, bias, seeAll }: GlobalTokenValues) {
  return { places: places.name, mask: mask.name, ...(bias ? { bias: bias.name } : {}), ...(seeAll ? { seeAll } : {}) };
}

export class OnnxEncoderBuilder extends EncoderBuilder {
  readonly tokens: OnnxTokens;
  /** What the graph with rows does not say of its attention nodes, by their names. */
  readonly nodes = new Map<string, NodeOfRows>();
  readonly #onnx: EncoderOnnx;
  #inputs: Readonly<Record<string, Value>> | undefined;

  constructor(name: string, tensors: EncoderTensors, onnx: EncoderOnnx, options: OnnxTokensOptions = {}) {
    super(name, tensors);
    this.tokens = new OnnxTokens(this.graph, options);
    this.#onnx = onnx;
  }

  override input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    this.#inputs ??= this.#onnx.inputs(this.tokens);
    const value = this.#inputs[name];
    if (value?.type !== type || value.shape.join() !== shape.join()) {
      throw new ArgumentError(`the exported graph has no ${type} ${name} [${shape.join(', ')}]`);
    }
    return value;
  }

  /** Layers that are added from here on have these inputs: those of a decoder over the same tokens. */
  useInputs(inputs: Readonly<Record<string, Value>>): void {
    this.#inputs = inputs;
  }

  override attention(options: AttentionOptions, pairs: PairsOf = NO_PAIRS, own: OnnxAttention = {}): Value {
    const { pattern = options.pattern, globals } = this.#ofNode(options.pattern, own);
    const value = super.attention({ ...options, pattern }, pairs);
    this.#register(value.name, options, own, globals);
    return value;
  }

  override attentionWithLse(
    options: AttentionOptions,
    pairs: PairsOf = NO_PAIRS,
    own: OnnxAttention = {},
  ): { output: Value; lse: Value } {
    const { pattern = options.pattern, globals } = this.#ofNode(options.pattern, own);
    const values = super.attentionWithLse({ ...options, pattern }, pairs);
    this.#register(values.output.name, options, own, globals);
    return values;
  }

  /** What the architecture says of a node over the tokens. */
  #ofNode(pattern: Pattern, { keys }: OnnxAttention) {
    return keys === undefined ? (this.#onnx.attention?.(this.tokens, pattern) ?? {}) : {};
  }

  #register(
    name: string,
    { scores }: AttentionOptions,
    { keys, byHead, parameters = {} }: OnnxAttention,
    globals: GlobalTokenValues | undefined,
  ): void {
    if (scores?.rows !== undefined) {
      throw new ArgumentError(`SparseAttention ${name}: scores that depend on the rows of a batch cannot be exported`);
    }
    const tables = Object.entries(scores?.tables ?? {}).map(
      ([parameter, { tensor, shape }]) => [parameter, this.tensor(tensor, shape)] as const,
    );
    const values = [...tables, ...Object.entries(parameters)];
    this.nodes.set(name, {
      ...(globals === undefined ? {} : { globals: namesOf(globals) }),
      ...(keys === undefined
        ? {}
        : { keys: { shape: keys.shape.name, ...(keys.mask ? { keyMask: keys.mask.name } : {}) } }),
      ...(byHead === undefined ? {} : { byHead: { k: byHead.k.name, v: byHead.v.name } }),
      ...(scores === undefined
        ? {}
        : {
            scores: {
              expression: scores.expression,
              parameters: Object.fromEntries(values.map(([parameter, value]) => [parameter, value.name])),
            },
          }),
    });
  }

  /**
   * The projections of all keys are not computed: with k = Wk x + bk a score is (Wk^T q) x and a constant that the softmax does not see,
   * and the sum of p (Wv x + bv) is Wv (sum of p x) + bv. For P global tokens that is P H products with x in the place of 2 D H.
   */
  override globalAttention({ local, x, heads, name }: GlobalAttentionOptions): Value {
    const { graph, tokens } = this;
    const hidden = widthOf(x);
    const width = hidden / heads;
    const { places, mask } = tokens.globals;
    const texts = tokens.bySequence(x, hidden); // [batch, sequence, hidden]
    const own = tokens.op('Gather', [texts, places], 'float32', ['batch', 'places', hidden], {
      axis: { type: 'int', value: 1 },
    });
    const matrix = (part: string) => this.tensor(`${name}.${part}_global.weight`, [hidden, hidden]);
    const bias = (part: string) => this.tensor(`${name}.${part}_global.bias`, [hidden]);
    this.tensors.allow(`${name}.key_global.bias`);
    const rows = tokens.reshape(own, [-1, hidden], ['global rows', hidden]);
    const q = gemm(graph, rows, matrix('query'), bias('query'), { transB: true });
    const places4 = this.#shapeOf(places, [heads, width]);
    const byHead = this.#transposed(
      tokens.op('Reshape', [q, places4], 'float32', ['batch', 'places', heads, width]),
      [0, 2, 1, 3],
    );
    const scaled = mul(graph, byHead, graph.constant('float32', Float32Array.of(1 / Math.sqrt(width)), []));
    const keys = tokens.reshape(matrix('key'), [heads, width, hidden], [heads, width, hidden]);
    const queries = this.#product(scaled, keys, ['batch', heads, 'places', hidden]);
    const flat = tokens.reshape(queries, [0, -1, hidden], ['batch', 'queries', hidden]);
    const scores = this.#product(flat, this.#transposed(texts, [0, 2, 1]), ['batch', 'queries', 'sequence']);
    const allowed = tokens.op('Unsqueeze', [tokens.mask, tokens.integers(1)], 'bool', ['batch', 1, 'sequence']);
    const number = (value: number) => graph.constant('float32', Float32Array.of(value), []);
    const added = graph.once('tokens: added to scores', () =>
      tokens.op('Where', [allowed, number(0), number(FORBIDDEN)], 'float32', ['batch', 1, 'sequence']),
    );
    const masked = tokens.op('Add', [scores, added], 'float32', scores.shape);
    const shares = tokens.op('Softmax', [masked], 'float32', scores.shape, { axis: { type: 'int', value: -1 } });
    const sums = this.#product(shares, texts, ['batch', 'queries', hidden]);
    const parted = this.#shapeOf(places, [hidden], [heads]);
    const perHead = tokens.op('Reshape', [sums, parted], 'float32', ['batch', heads, 'places', hidden]);
    const values = tokens.reshape(matrix('value'), [heads, width, hidden], [heads, width, hidden]);
    const attended = this.#product(perHead, this.#transposed(values, [0, 2, 1]), ['batch', heads, 'places', width]);
    const joined = tokens.reshape(
      this.#transposed(attended, [0, 2, 1, 3]),
      [0, 0, hidden],
      ['batch', 'places', hidden],
    );
    const result = tokens.op('Add', [joined, bias('value')], 'float32', joined.shape);
    return this.#placed(tokens.bySequence(local, hidden), result, { places, mask });
  }

  /** The rows of global tokens in the place of theirs, of [batch, sequence, hidden]: [rows, hidden]. */
  #placed(local: Value, rows: Value, { places, mask }: GlobalTokenValues): Value {
    const { graph, tokens } = this;
    const hidden = local.shape[2] as number;
    const along = { axis: { type: 'int', value: 1 } } as const;
    const flags = graph.once('tokens: global flags', () => {
      const own = tokens.op('Gather', [mask, places], 'bool', ['batch', 'places'], along);
      return tokens.op('Unsqueeze', [own, tokens.integers(2)], 'bool', ['batch', 'places', 1]);
    });
    const before = tokens.op('Gather', [local, places], 'float32', ['batch', 'places', hidden], along);
    // A place may be global in another entry of the batch only.
    const chosen = tokens.op('Where', [flags, rows, before], 'float32', rows.shape);
    const order = graph.once('tokens: order with globals', () => {
      const count = tokens.op('Shape', [places], 'int64', [1]);
      const end = tokens.op('Add', [tokens.length, tokens.op('Squeeze', [count], 'int64', [])], 'int64', []);
      return tokens.op(
        'ScatterElements',
        [tokens.sequence, places, tokens.range(tokens.length, end)],
        'int64',
        ['sequence'],
        { axis: { type: 'int', value: 0 } },
      );
    });
    const both = tokens.op('Concat', [local, chosen], 'float32', ['batch', 'both', hidden], along);
    const placed = tokens.op('Gather', [both, order], 'float32', ['batch', 'sequence', hidden], along);
    return tokens.reshape(placed, [-1, hidden], ['rows', hidden]);
  }

  /** [batch, before.., P, after..] as a shape. */
  #shapeOf(places: Value, after: readonly number[], before: readonly number[] = []): Value {
    const { graph, tokens } = this;
    return graph.once(`tokens: shape of places ${before} ${after}`, () => {
      const count = tokens.op('Shape', [places], 'int64', [1]);
      const batch = tokens.op('Gather', [tokens.shape, tokens.integers(0)], 'int64', [1]);
      const parts = [
        batch,
        ...(before.length > 0 ? [tokens.integers(...before)] : []),
        count,
        tokens.integers(...after),
      ];
      return tokens.op('Concat', parts, 'int64', [2 + before.length + after.length], {
        axis: { type: 'int', value: 0 },
      });
    });
  }

  #product(a: Value, b: Value, shape: readonly Dimension[]): Value {
    return this.tokens.op('MatMul', [a, b], 'float32', shape);
  }

  #transposed(x: Value, perm: readonly number[]): Value {
    const shape = perm.map((axis) => x.shape[axis] as Dimension);
    return this.tokens.op('Transpose', [x], 'float32', shape, { perm: { type: 'ints', value: perm } });
  }
}

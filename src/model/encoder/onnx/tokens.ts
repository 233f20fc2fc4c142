/** The inputs of an exported encoder, and what is computed of them before the layers. */
import { cast, type ElementType, type GraphBuilder, gather, ROWS, type Value } from '../../../graph/index.ts';

/** Tokens that every token of their text sees. */
export interface GlobalTokenValues {
  /** int64 [P], P at least 1: places that are global in an entry of the batch, ascending. */
  readonly places: Value;
  /** bool [batch, sequence], or [1, sequence] where it is the same in each entry. */
  readonly mask: Value;
  /** float32 [P], added to the scores of these keys. */
  readonly bias?: Value;
  /** Whether these tokens see every token by the same projections. */
  readonly seeAll?: boolean;
}

export interface OnnxTokensOptions {
  /** Whether there is an input attention_mask. Default true. */
  readonly hasMask?: boolean;
}

/** Values of a graph; each is made when it is first asked for, so that a graph has the inputs that it needs. */
export class OnnxTokens {
  readonly graph: GraphBuilder;
  /** int64 [rows] */
  readonly ids: Value;
  /** int64 [2]: batch and sequence. */
  readonly shape: Value;
  readonly #mask: Value | undefined;
  #past: Value | undefined;

  constructor(graph: GraphBuilder, { hasMask = true }: OnnxTokensOptions = {}) {
    this.graph = graph;
    const ids = graph.input('input_ids', 'int64', ['batch', 'sequence']);
    const mask = hasMask ? graph.input('attention_mask', 'int64', ['batch', 'sequence']) : undefined;
    this.ids = this.reshape(ids, [-1], [ROWS]);
    this.shape = graph.op1({ operator: 'Shape', inputs: [ids], name: 'tokens/shape' }, 'int64', [2]);
    this.#mask = mask && cast(graph, mask, 'bool', 'tokens/mask');
  }

  /** bool [batch, sequence]: tokens that count. */
  get mask(): Value {
    if (this.#mask === undefined) throw new TypeError('these tokens have no mask');
    return this.#mask;
  }

  /** int64 []: tokens of a sequence, with its padding. */
  get length(): Value {
    return this.graph.once('tokens: length', () => gather(this.graph, this.shape, this.integer(1)));
  }

  /** int64 [sequence]: 0, 1, 2, ... */
  get sequence(): Value {
    return this.graph.once('tokens: sequence', () => this.range(this.integer(0), this.length));
  }

  /** Says that the tokens follow others, int64 []. Before anything asks for places. */
  follow(past: Value): void {
    this.#past = past;
  }

  /** int64 [rows]: the place of each token in its sequence. */
  get places(): Value {
    return this.graph.once('tokens: places', () => {
      const own =
        this.#past === undefined ? this.sequence : this.op('Add', [this.sequence, this.#past], 'int64', ['sequence']);
      const all = this.op('Expand', [own, this.shape], 'int64', ['batch', 'sequence']);
      return this.reshape(all, [-1], [ROWS]);
    });
  }

  /** int64 [rows], as the input token_type_ids. */
  get tokenTypes(): Value {
    return this.graph.once('tokens: types', () =>
      this.reshape(this.graph.input('token_type_ids', 'int64', ['batch', 'sequence']), [-1], [ROWS]),
    );
  }

  /** int64 [rows]: 0, where a model has one kind of tokens. */
  get zeros(): Value {
    return this.graph.once('tokens: zeros', () => this.op('Mul', [this.ids, this.integer(0)], 'int64', [ROWS]));
  }

  /**
   * cos and sin of the rows' rotary angles [rows, D/2], place times frequency, times `scale`. Computed in float64, as the angles of far
   * places need it. `name` tells several frequencies apart.
   */
  angles(name: string, frequencies: Float64Array, scale = 1): { readonly cos: Value; readonly sin: Value } {
    const { graph } = this;
    const half = frequencies.length;
    const places = cast(graph, this.reshape(this.places, [-1, 1], [ROWS, 1]), 'float64');
    const each = graph.initializer(`tokens/frequencies_${name}`, 'float64', [1, half], () => frequencies);
    const angles = this.op('Mul', [places, each], 'float64', [ROWS, half]);
    const of = (operator: string): Value => {
      const plain = this.op(operator, [angles], 'float64', [ROWS, half]);
      if (scale === 1) return cast(graph, plain, 'float32');
      const factor = graph.constant('float64', Float64Array.of(scale), []);
      return cast(graph, this.op('Mul', [plain, factor], 'float64', [ROWS, half]), 'float32');
    };
    return { cos: of('Cos'), sin: of('Sin') };
  }

  /** By the input global_attention_mask. */
  get globals(): GlobalTokenValues {
    const { graph } = this;
    const mask = graph.once('tokens: global mask', () =>
      cast(graph, graph.input('global_attention_mask', 'int64', ['batch', 'sequence']), 'bool', 'tokens/global_mask'),
    );
    const places = graph.once('tokens: global places', () => {
      const count = this.op('ReduceMax', [cast(graph, mask, 'int32'), this.integers(0)], 'int32', ['sequence'], {
        keepdims: { type: 'int', value: 0 },
      });
      const some = cast(graph, count, 'bool');
      const most = this.op('ReduceMax', [count, this.integers(0)], 'int32', [1]);
      // Place 0 stands for none: an empty list is no shape that every runtime takes.
      const none = this.op('Not', [cast(graph, most, 'bool')], 'bool', [1]);
      const first = this.op('Equal', [this.sequence, this.integer(0)], 'bool', ['sequence']);
      const standIn = this.op('And', [first, none], 'bool', ['sequence']);
      return this.placesWhere(this.op('Or', [some, standIn], 'bool', ['sequence']));
    });
    return { mask, places };
  }

  /** int64 [P]: where a bool [sequence] is true. */
  placesWhere(flags: Value): Value {
    const found = this.op('NonZero', [flags], 'int64', [1, 'places']);
    return this.op('Squeeze', [found, this.integers(0)], 'int64', ['places']);
  }

  range(start: Value, end: Value): Value {
    return this.op('Range', [start, end, this.integer(1)], 'int64', ['sequence']);
  }

  /** A scalar int64. */
  integer(value: number): Value {
    return this.graph.constant('int64', BigInt64Array.of(BigInt(value)), []);
  }

  /** A vector of int64. */
  integers(...values: number[]): Value {
    return this.graph.constant('int64', BigInt64Array.from(values, BigInt));
  }

  /** `shape` for Reshape, where -1 is computed; `known` as graphs write shapes. */
  reshape(value: Value, shape: readonly number[], known: Value['shape']): Value {
    return this.op('Reshape', [value, this.integers(...shape)], value.type, known);
  }

  /** [rows, width] as [batch, sequence, width]. */
  bySequence(value: Value, width: number): Value {
    const sides = this.graph.once(`tokens: shape ${width}`, () =>
      this.op('Concat', [this.shape, this.integers(width)], 'int64', [3], { axis: { type: 'int', value: 0 } }),
    );
    return this.op('Reshape', [value, sides], value.type, ['batch', 'sequence', width]);
  }

  op(
    operator: string,
    inputs: readonly Value[],
    type: ElementType,
    shape: Value['shape'],
    attributes: Parameters<GraphBuilder['op']>[0]['attributes'] = {},
  ): Value {
    return this.graph.op1({ operator, inputs, attributes }, type, shape);
  }
}

import type { Pattern } from '../pattern/pattern.ts';

/**
 * The graph of a model: standard ONNX operators (ONNX specification, "Open Neural Network Exchange Intermediate
 * Representation"), ONNX Runtime's com.microsoft operators, and `farfield.SparseAttention`. Plain data; nodes are in
 * topological order and every value has one producer (single static assignment).
 */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly nodes: readonly Node[];
  readonly initializers: readonly Initializer[];
  /** Every value by name: inputs, initializers and the outputs of nodes. */
  readonly values: ReadonlyMap<string, Value>;
  /**
   * Values through which everything passes from one layer to the next, in order. Training may keep these alone and compute the
   * layers between them again (graph/grad); running a graph does not heed them.
   */
  readonly boundaries?: readonly string[];
  /** Versions of the operator sets by domain, in an imported graph. Default: those that the writer writes. */
  readonly opsets?: ReadonlyMap<string, number>;
}

/** Half precision is kept as its bits. The graphs that model/ builds use float32, int64, int32, uint8 and bool; ONNX files use them all. */
export type ElementType = keyof ElementArrays;

/** The typed array that holds elements of each type; bool is one byte per element. */
export interface ElementArrays {
  readonly float32: Float32Array;
  readonly int64: BigInt64Array;
  readonly int32: Int32Array;
  readonly uint8: Uint8Array;
  readonly bool: Uint8Array;
  readonly float64: Float64Array;
  readonly float16: Uint16Array;
  readonly bfloat16: Uint16Array;
  readonly int16: Int16Array;
  readonly int8: Int8Array;
  readonly uint64: BigUint64Array;
  readonly uint32: Uint32Array;
  readonly uint16: Uint16Array;
}

export type TensorData = ElementArrays[ElementType];

/** A number, or the name of a dimension that is known only at run time. */
export type Dimension = number | string;

/** The symbolic first dimension of everything that is computed row by row: one row per token. */
export const ROWS = 'rows';

/** An edge of the graph. */
export interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dimension[];
  /** Whether `shape` is known: false only for values of imported graphs, whose `shape` is then empty. Default true. */
  readonly ranked?: boolean;
}

/** A constant. `load` is called once per compiled segment that reads it, so weights pass through memory one segment at a time. */
export interface Initializer {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly load: () => TensorData | Promise<TensorData>;
}

export type Attribute =
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensor'; readonly value: ConstantTensor }
  /** The body of a Loop; it may read values of the graph that the node stands in. */
  | { readonly type: 'graph'; readonly value: Graph }
  /** An AttributeProto of an imported file, as it is: one that has no form above. */
  | { readonly type: 'encoded'; readonly value: Uint8Array };

/** A tensor inside an attribute. */
export interface ConstantTensor {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface Node {
  readonly name: string;
  /** '' is the standard domain; the others that Farfield makes are 'com.microsoft' and 'farfield'. */
  readonly domain: string;
  readonly operator: string;
  /** Names of values; '' where an optional input is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Values of this graph that its attributes' graphs read, beside its inputs. */
  readonly captures?: readonly string[];
}

/**
 * `farfield.SparseAttention`, read from a Node. Shape letters as in attention/: H query heads, G key/value heads,
 * D query/key width, E value width.
 */
export interface AttentionNode {
  readonly name: string;
  /** Position among the graph's attention nodes: 0 is the first layer's. */
  readonly index: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  /** D */
  readonly width: number;
  /** E */
  readonly valueWidth: number;
  readonly pattern: Pattern;
  /** Factor on q . k. */
  readonly scale: number;
  readonly softcap?: number;
  /**
   * Value names: q [rows, H*D], k [rows, G*D], v [rows, G*E] (or [keys, ...] of another sequence, inputs of the graph);
   * sinkQuery [S, H*D]; sinkLogits [H].
   */
  readonly inputs: {
    readonly q: string;
    readonly k: string;
    readonly v: string;
    readonly sinkQuery?: string;
    readonly sinkLogits?: string;
  };
  /** Value name, [rows, H*E]. */
  readonly output: string;
  /** Value name, [rows, H]: the natural-log log-sum-exp of the scores, where the graph reads it. */
  readonly lse?: string;
}

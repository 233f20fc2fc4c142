/** What a file of an encoder-decoder gives. */
import type { HostTensor, Value } from '../../graph/index.ts';
import type { EncoderModel, Head, Task } from '../encoder/architecture.ts';
import type { EncoderBuilder, Scores } from '../encoder/builder.ts';
import type { Layout } from '../encoder/layout.ts';
import type { OnnxTokens } from '../encoder/onnx/tokens.ts';
import type { EncoderTensors } from '../encoder/tensors.ts';

/** Rows of a decoder. */
export interface DecoderBatch {
  readonly layout: Layout;
  /** [rows] */
  readonly ids: Int32Array;
  /** The place of every sequence's first row: above 0 where earlier tokens lie in the cache. */
  readonly first: number;
}

/** An architecture with a configuration. */
export interface Seq2SeqModel {
  readonly encoder: EncoderModel;
  readonly decoder: {
    readonly layers: number;
    readonly heads: number;
    /** D = E */
    readonly width: number;
    /** Tokens of the longest sequence. Default: positions have no end. */
    readonly maxTokens?: number;
    /** Adds the decoder: what its head reads [rows, hidden]. Row inputs are those that feeds() fills. */
    readonly build: (builder: DecoderBuilder) => Value;
    /** The inputs of the graph but for the memory. Throws ArgumentError where there are no positions left. */
    readonly feeds: (batch: DecoderBatch) => Record<string, HostTensor>;
    /** The same inputs in an exported graph, by name. */
    readonly onnxInputs: (tokens: OnnxTokens) => Readonly<Record<string, Value>>;
  };
  /** Adds keys and values of the text for each layer of the decoder, from the encoder's last hidden state [rows, hidden]. */
  readonly memory: (builder: EncoderBuilder, hidden: Value) => readonly { readonly k: Value; readonly v: Value }[];
  /** Adds the head: logits [rows, vocabulary]. */
  readonly head: (builder: EncoderBuilder, hidden: Value) => Value;
  /** What a decoder that has read the text again says of it, from its last hidden state: heads that do not write. */
  readonly heads?: Readonly<Partial<Record<Task, Head['build']>>>;
  /** The token that the decoder begins with. */
  readonly startToken: number;
  readonly endToken: number | undefined;
}

/** What the graph of a decoder is built with. */
export interface DecoderBuilder {
  readonly b: EncoderBuilder;
  /** Causal attention of a layer to the tokens before. */
  readonly selfAttention: (options: DecoderAttention & { readonly k: Value; readonly v: Value }) => Value;
  /** Attention of a layer to the text. */
  readonly crossAttention: (options: DecoderAttention) => Value;
}

export interface DecoderAttention {
  readonly layer: number;
  readonly q: Value;
  readonly name: string;
  readonly scale?: number;
  readonly scores?: Scores;
}

export interface ReadSeq2SeqContext {
  /** What errors call config.json. */
  readonly source: string;
  readonly tensors: EncoderTensors;
}

/** One entry of the registry. */
export interface Seq2SeqArchitecture {
  readonly className: string;
  readonly prefix: string;
  /** Starts of the names of the tensors of `heads`. */
  readonly headNames?: readonly string[];
  /** Throws ModelError where a field is missing or impossible. */
  readonly read: (config: unknown, context: ReadSeq2SeqContext) => Seq2SeqModel;
}

/** What a file of an architecture gives, and what it is given. */
import * as v from 'valibot';
import { ModelError } from '../../errors.ts';
import type { HostTensor, Value } from '../../graph/index.ts';
import type { Pattern } from '../../pattern/index.ts';
import type { EncoderBuilder } from './builder.ts';
import type { Layout } from './layout.ts';
import type { OnnxEncoderBuilder } from './onnx/builder.ts';
import type { GlobalTokenValues, OnnxTokens } from './onnx/tokens.ts';
import type { EncoderTensors } from './tensors.ts';

/** What a model class of Hugging Face adds to the encoder, by the end of its name: BertForMaskedLM. */
export const TASKS = {
  Model: 'base',
  ForPreTraining: 'maskedLm',
  ForMaskedLM: 'maskedLm',
  ForCausalLM: 'causalLm',
  ForSequenceClassification: 'sequenceClassification',
  ForTokenClassification: 'tokenClassification',
  ForQuestionAnswering: 'questionAnswering',
} as const;

export type Task = (typeof TASKS)[keyof typeof TASKS];

/** One sequence of a batch, with every default filled in. Lists have one element for each token. */
export interface EncoderSequence {
  readonly ids: Int32Array;
  /** 0 where a token is masked. */
  readonly mask: Uint8Array;
  readonly tokenTypes: Int32Array;
  /** 1 where a token has global attention. */
  readonly globals: Uint8Array;
}

/** A batch as the graph sees it: the sequences' computed tokens one after the other. */
export interface PackedBatch {
  readonly layout: Layout;
  /** [rows] */
  readonly ids: Int32Array;
  /** [rows] */
  readonly tokenTypes: Int32Array;
}

/** Which rows of the last hidden state a head reads: every row, or one for each sequence, its first, its last that counts, or the mean of those not masked. */
export type HeadRows = 'all' | 'first' | 'last' | 'mean';

/** A part after the encoder. Its outputs are [rows, width]. */
export interface Head {
  readonly rows: HeadRows;
  readonly build: (builder: EncoderBuilder, hidden: Value) => Readonly<Record<string, Value>>;
}

/** What a sequence says of its defaults: those of a task follow from the ids. */
export interface SequenceDefaults {
  readonly tokenTypes?: Int32Array;
  readonly globals?: Uint8Array;
}

/** An architecture with a configuration. */
export interface EncoderModel {
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  /** Kinds of tokens that `tokenTypes` may name. */
  readonly tokenKinds: number;
  /** Tokens of the longest sequence. Default: positions have no end. */
  readonly maxTokens?: number;
  /** Whether tokens can have global attention. */
  readonly hasGlobals: boolean;
  /** Adds the layers: the last hidden state [rows, hidden]. The row inputs are those that feeds() fills. */
  readonly layers: (builder: EncoderBuilder) => Value;
  /** The parts after the layers, by a name of one's own. A pooler is left out where the file has none. */
  readonly heads: Readonly<Record<string, Head>>;
  /** The inputs of the graph. Throws ArgumentError where a sequence is longer than the model's positions. */
  readonly feeds: (batch: PackedBatch) => Record<string, HostTensor>;
  /** What the model's task gives a sequence where the caller gives nothing. Throws ArgumentError where ids do not fit the task. */
  readonly defaults?: (ids: Int32Array, name: string) => SequenceDefaults;
  /** Changes a sequence's outputs of the head at the end, by name: [L] or [L, width]. */
  readonly finish?: (outputs: Readonly<Record<string, Float32Array>>, ids: Int32Array) => void;
  /** Absent where the model cannot be exported. */
  readonly onnx?: EncoderOnnx;
}

/** What an exported graph computes of its tokens, where a batch decides it elsewhere. */
export interface EncoderOnnx {
  /** The row inputs of layers(), by name. */
  readonly inputs: (tokens: OnnxTokens) => Readonly<Record<string, Value>>;
  /** The layers, where they are not built as those of rows. */
  readonly layers?: (builder: OnnxEncoderBuilder) => Value;
  /** What attention nodes have in the place of their `own` pattern, and tokens that every query sees. */
  readonly attention?: (
    tokens: OnnxTokens,
    own: Pattern,
  ) => { readonly pattern?: Pattern; readonly globals?: GlobalTokenValues };
  /** Changes an output [batch, sequence] of the head, by its name. */
  readonly finish?: (tokens: OnnxTokens, output: Value) => Value;
}

export interface ReadContext {
  /** What errors call config.json. */
  readonly source: string;
  readonly task: Task;
  /** What the file has. */
  readonly tensors: EncoderTensors;
  /** Instead of the pattern of layers with full attention. */
  readonly pattern: Pattern | undefined;
  /** What is done beyond the last learned position. */
  readonly positions: 'given' | 'repeat';
}

/** One entry of the registry. */
export interface EncoderArchitecture {
  /** The start of its class names: "Bert" in BertForMaskedLM. */
  readonly className: string;
  /** The name that a class with a head gives its encoder. */
  readonly prefix: string;
  /** Starts of the names of the heads' tensors. */
  readonly headNames: readonly string[];
  readonly tasks: readonly Task[];
  /** Throws ModelError where a field is missing or impossible. */
  readonly read: (config: unknown, context: ReadContext) => EncoderModel;
}

export const count = v.pipe(
  v.number('it must be a number'),
  v.safeInteger('it must be an integer'),
  v.minValue(1, 'it must be at least 1'),
);
export const index = v.pipe(
  v.number('it must be a number'),
  v.safeInteger('it must be an integer'),
  v.minValue(0, 'it must be at least 0'),
);
export const positive = v.pipe(
  v.number('it must be a number'),
  v.finite('it must be finite'),
  v.check((x) => x > 0, 'it must be above 0'),
);
export const text = v.string('it must be a string');
/** true or false, with a default. */
export const flag = (otherwise: boolean) => v.optional(v.boolean('it must be true or false'), otherwise);

/** Reads config.json by a schema. @throws ModelError that names the field. */
export function parseConfig<S extends v.GenericSchema>(schema: S, json: unknown, source: string): v.InferOutput<S> {
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = issue.path?.map(({ key }) => String(key)).join('.') ?? 'the configuration';
  throw new ModelError(
    issue.input === undefined
      ? `${source}: ${path} is missing`
      : `${source}: ${path} is ${JSON.stringify(issue.input)}; ${issue.message}`,
  );
}

/** @throws ModelError where the heads do not divide the hidden size, or are wider than the kernels take. */
export function checkHeads(hiddenSize: number, heads: number, source: string): void {
  const width = hiddenSize / heads;
  if (Number.isInteger(width) && width <= 256) return;
  throw new ModelError(
    `${source}: hidden_size ${hiddenSize} over ${heads} heads makes heads ${width} wide; the width must be an integer of at most 256`,
  );
}

/** int64 [rows]. */
export function int64(numbers: ArrayLike<number>): HostTensor {
  const data = new BigInt64Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) data[i] = BigInt(numbers[i] ?? 0);
  return { type: 'int64', data, shape: [data.length] };
}

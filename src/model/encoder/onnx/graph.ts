/** An encoder as one graph from token ids to its outputs, as ONNX files of Hugging Face models have it. */
import { ArgumentError, ModelError } from '../../../errors.ts';
import { cast, type Graph, type Value, withBatchAxis } from '../../../graph/index.ts';
import type { EncoderModel, Head } from '../architecture.ts';
import type { EncoderTensors } from '../tensors.ts';
import { OnnxEncoderBuilder } from './builder.ts';
import type { OnnxTokens } from './tokens.ts';

/** Outputs as Hugging Face has them, by the names of heads. */
const OUTPUT_NAMES: Readonly<Record<string, string>> = {
  pooled: 'pooler_output',
  startLogits: 'start_logits',
  endLogits: 'end_logits',
};

export interface EncoderOnnxOptions {
  /** Leaves attention with rows, as the layers have it; for those who replace it. Default false. */
  readonly keepRows?: boolean;
  /** Of an encoder whose tensors lie beside others, which are asked for later: leaves their check to the caller. Default false. */
  readonly isPart?: boolean;
}

/** The graph, and what is known of its rows. */
export interface EncoderOnnxGraph {
  readonly graph: Graph;
  /** Name of the value int64 [2]: batch and sequence, whose product is the number of rows. */
  readonly shape: string;
}

/**
 * `input_ids` and `attention_mask` [batch, sequence] (int64; 0 for padding), `token_type_ids` where the model has several kinds and
 * `global_attention_mask` where tokens can be global, to `last_hidden_state` [batch, sequence, hidden] and `pooler_output` of a model without
 * a head, or to `logits` [batch, sequence, classes] or [batch, classes], or to `start_logits` and `end_logits` [batch, sequence].
 * Checks the tensors. @throws ArgumentError for a model that cannot be exported, CheckpointError for tensors that are not its own.
 */
export function encoderOnnxGraph(
  model: EncoderModel,
  tensors: EncoderTensors,
  { keepRows = false, isPart = false }: EncoderOnnxOptions = {},
): EncoderOnnxGraph {
  if (model.onnx === undefined) throw new ArgumentError('this architecture cannot be exported to ONNX');
  const b = new OnnxEncoderBuilder('encoder', tensors, model.onnx);
  const { tokens, graph } = b;
  const hidden = model.onnx.layers?.(b) ?? model.layers(b);
  const { hiddenSize } = model;
  const heads = Object.entries(model.heads);
  if (!heads.some(([name]) => name === 'head'))
    graph.output(tokens.bySequence(hidden, hiddenSize), 'last_hidden_state');
  for (const [, head] of heads) {
    const made = head.build(b, rowsOf(tokens, head, hidden, hiddenSize));
    for (const [name, value] of Object.entries(made)) {
      const output = headOutput(tokens, head, name, value);
      const isPerToken = output.shape.length === 2 && output.shape[1] === 'sequence';
      graph.output((isPerToken && model.onnx.finish?.(tokens, output)) || output, OUTPUT_NAMES[name] ?? name);
    }
  }
  if (!isPart) tensors.check();
  const shape = tokens.shape.name;
  const made = graph.build();
  if (keepRows) return { graph: made, shape };
  return { graph: withBatchAxis(made, { shape, keyMask: tokens.mask.name, nodes: b.nodes }), shape };
}

/** The rows that a head reads. */
function rowsOf(tokens: OnnxTokens, head: Head, hidden: Value, width: number): Value {
  if (head.rows === 'all') return hidden;
  if (head.rows === 'last')
    throw new ModelError('a classifier of the last token cannot be exported; export the task base');
  const texts = tokens.bySequence(hidden, width); // [batch, sequence, hidden]
  if (head.rows === 'first') {
    const axis = { axis: { type: 'int', value: 1 } } as const;
    return tokens.op('Gather', [texts, tokens.integer(0)], 'float32', ['rows', width], axis);
  }
  const flags = tokens.op('Unsqueeze', [cast(tokens.graph, tokens.mask, 'float32'), tokens.integers(2)], 'float32', [
    'batch',
    'sequence',
    1,
  ]);
  const counted = tokens.op('Mul', [texts, flags], 'float32', texts.shape);
  const sum = (value: Value, size: number): Value =>
    tokens.op('ReduceSum', [value, tokens.integers(1)], 'float32', ['rows', size], {
      keepdims: { type: 'int', value: 0 },
    });
  return tokens.op('Div', [sum(counted, width), sum(flags, 1)], 'float32', ['rows', width]);
}

/** [batch, sequence, width], or [batch, sequence] of a list of numbers, or [batch, width]. */
function headOutput(tokens: OnnxTokens, head: Head, name: string, value: Value): Value {
  const width = value.shape[1];
  if (typeof width !== 'number') throw new TypeError(`${value.name} must be [rows, width]`);
  if (head.rows !== 'all') return tokens.op('Identity', [value], 'float32', ['batch', width]);
  if (name === 'logits') return tokens.bySequence(value, width);
  return tokens.op('Reshape', [value, tokens.shape], 'float32', ['batch', 'sequence']);
}

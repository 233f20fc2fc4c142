/** An encoder-decoder that classifies a text, or finds an answer in it, as one graph: see reader.ts. */
import { ArgumentError, ModelError } from '../../errors.ts';
import { type Graph, type Value, withBatchAxis } from '../../graph/index.ts';
import { causal, dense } from '../../pattern/index.ts';
import type { Task } from '../encoder/architecture.ts';
import { widthOf } from '../encoder/builder.ts';
import { OnnxEncoderBuilder } from '../encoder/onnx/builder.ts';
import type { OnnxTokens } from '../encoder/onnx/tokens.ts';
import type { EncoderTensors } from '../encoder/tensors.ts';
import type { Seq2SeqModel } from './architecture.ts';

/**
 * `input_ids` and `attention_mask` [batch, sequence] (int64; 0 for padding), and `global_attention_mask` where tokens can be global, to
 * `logits` [batch, classes], told from each text's last end token, or to `start_logits` and `end_logits` [batch, sequence]. A text to
 * classify without an end token fails when the file runs, and so does one with more tokens than encoder or decoder have positions.
 * Checks the tensors.
 * @throws ArgumentError for a model that cannot be exported, ModelError for a head or an end token that the model does not have,
 * CheckpointError for tensors that are not its own.
 */
export function readerOnnxGraph(model: Seq2SeqModel, task: Task, tensors: EncoderTensors): Graph {
  const { encoder, decoder, startToken, endToken } = model;
  const head = model.heads?.[task];
  if (head === undefined) throw new ModelError(`the model has no head of ${task}`);
  if (encoder.onnx === undefined) throw new ArgumentError('this architecture cannot be exported to ONNX');
  const b = new OnnxEncoderBuilder('reader', tensors, encoder.onnx);
  const { tokens, graph } = b;
  const memory = model.memory(b, encoder.onnx.layers?.(b) ?? encoder.layers(b));
  b.useInputs({ ...decoder.onnxInputs(tokens), input_ids: shifted(tokens, startToken) });
  const { heads } = decoder;
  // The mask hides tokens of the encoder's and not the decoder's own, as in transformers.
  const last = decoder.build({
    b,
    selfAttention: ({ layer, ...options }) =>
      b.attention({ ...options, heads, pattern: causal() }, undefined, { keys: { shape: tokens.shape } }),
    crossAttention({ layer, ...options }) {
      const rows = memory[layer];
      if (rows === undefined) throw new TypeError(`there is no memory of layer ${layer}`);
      const keys = { shape: tokens.shape, mask: tokens.mask };
      return b.attention({ ...options, ...rows, heads, pattern: dense() }, undefined, { keys });
    },
  });
  if (task === 'sequenceClassification') {
    if (endToken === undefined) {
      throw new ModelError('config.json names no end token (eos_token_id), from whose last a class is told');
    }
    const { logits } = head(b, lastEnds(tokens, last, endToken));
    if (logits === undefined) throw new TypeError('a classifier has logits');
    graph.output(tokens.op('Identity', [logits], 'float32', ['batch', widthOf(logits)]), 'logits');
  } else {
    const { startLogits, endLogits } = head(b, last);
    if (startLogits === undefined || endLogits === undefined) throw new ModelError(`${task} cannot be exported`);
    const perToken = (value: Value): Value =>
      tokens.op('Reshape', [value, tokens.shape], 'float32', ['batch', 'sequence']);
    graph.output(perToken(startLogits), 'start_logits');
    graph.output(perToken(endLogits), 'end_logits');
  }
  tensors.check();
  return withBatchAxis(graph.build(), { shape: tokens.shape.name, keyMask: tokens.mask.name, nodes: b.nodes });
}

/** int64 [rows]: each text one token later, behind the start token. */
function shifted(tokens: OnnxTokens, startToken: number): Value {
  const { sequence } = tokens;
  const before = tokens.op('Sub', [sequence, tokens.integer(1)], 'int64', ['sequence']);
  const places = tokens.op('Max', [before, tokens.integer(0)], 'int64', ['sequence']);
  const earlier = tokens.op('Gather', [idsByText(tokens), places], 'int64', TEXTS, { axis: { type: 'int', value: 1 } });
  const isFirst = tokens.op('Equal', [sequence, tokens.integer(0)], 'bool', ['sequence']);
  const own = tokens.op('Where', [isFirst, tokens.integer(startToken), earlier], 'int64', TEXTS);
  return tokens.reshape(own, [-1], tokens.ids.shape);
}

/** The rows [batch, hidden] of the texts' last end tokens, of hidden [rows, hidden]. */
function lastEnds(tokens: OnnxTokens, hidden: Value, endToken: number): Value {
  const { graph, length, sequence, shape } = tokens;
  const isEnd = tokens.op('Equal', [idsByText(tokens), tokens.integer(endToken)], 'bool', TEXTS);
  const places = tokens.op('Where', [isEnd, sequence, tokens.integer(-1)], 'int64', TEXTS);
  const last = tokens.op('ReduceMax', [places, tokens.integers(1)], 'int64', ['batch'], {
    keepdims: { type: 'int', value: 0 },
  });
  const batch = tokens.op('Gather', [shape, tokens.integer(0)], 'int64', []);
  const texts = tokens.op('Range', [tokens.integer(0), batch, tokens.integer(1)], 'int64', ['batch']);
  const starts = tokens.op('Mul', [texts, length], 'int64', ['batch']);
  const rows = tokens.op('Add', [starts, last], 'int64', ['batch']);
  // The row behind all rows: the runtime refuses it, naming the node.
  const beyond = tokens.op('Mul', [batch, length], 'int64', []);
  const isThere = tokens.op('LessOrEqual', [tokens.integer(0), last], 'bool', ['batch']);
  const chosen = tokens.op('Where', [isThere, rows, beyond], 'int64', ['batch']);
  return graph.op1({ operator: 'Gather', inputs: [hidden, chosen], name: 'last_end_token_of_each_text' }, 'float32', [
    'rows',
    widthOf(hidden),
  ]);
}

const TEXTS = ['batch', 'sequence'] as const;

/** int64 [batch, sequence] */
function idsByText(tokens: OnnxTokens): Value {
  return tokens.graph.once('tokens: ids by text', () =>
    tokens.op('Reshape', [tokens.ids, tokens.shape], 'int64', TEXTS),
  );
}

/** An encoder-decoder as three graphs, as ONNX files of Hugging Face models have it. */
import { cast, concat, type Graph, gather, type Value, withBatchAxis } from '../../graph/index.ts';
import { causal, dense } from '../../pattern/index.ts';
import { widthOf } from '../encoder/builder.ts';
import { OnnxEncoderBuilder } from '../encoder/onnx/builder.ts';
import { encoderOnnxGraph } from '../encoder/onnx/graph.ts';
import type { OnnxTokens } from '../encoder/onnx/tokens.ts';
import type { EncoderTensors } from '../encoder/tensors.ts';
import type { Seq2SeqModel } from './architecture.ts';

/** Shapes: B batch, T tokens of the text, N of the output at hand, P before them, H heads, D their width. */
export interface Seq2SeqOnnxGraphs {
  /** `input_ids` and `attention_mask` [B, T], and what else encoderOnnxGraph() says, to `last_hidden_state` [B, T, hidden]. */
  readonly encoder: Graph;
  /**
   * `input_ids` [B, N], the output so far, `encoder_attention_mask` [B, T] and `encoder_hidden_states` [B, T, hidden], the encoder's input
   * and output, to `logits` [B, N, vocabulary] and what the other decoder takes as its past: for each layer i `present.i.decoder.key` and
   * `.value` [B, H, N, D], and `present.i.encoder.key` and `.value` [B, H, T, D], which stay the same for a text. Shorter outputs are padded
   * at their ends, which no token before sees.
   */
  readonly decoder: Graph;
  /**
   * The next tokens: `input_ids` [B, N], `encoder_attention_mask`, and `past_key_values.i.decoder.key` and so on [B, H, P, D] and
   * [B, H, T, D], to `logits` and `present.i.decoder.key` and `.value` [B, H, P + N, D].
   */
  readonly decoderWithPast: Graph;
}

/** Checks the tensors. @throws ArgumentError for a model that cannot be exported, CheckpointError for tensors that are not its own. */
export function seq2seqOnnxGraphs(model: Seq2SeqModel, tensors: EncoderTensors): Seq2SeqOnnxGraphs {
  const encoder = encoderOnnxGraph(model.encoder, tensors, { isPart: true }).graph;
  const decoder = decoderGraph(model, tensors, false);
  const decoderWithPast = decoderGraph(model, tensors, true);
  tensors.check();
  return { encoder, decoder, decoderWithPast };
}

/** Keys and values. */
interface KeysValues {
  readonly k: Value;
  readonly v: Value;
}

function decoderGraph(model: Seq2SeqModel, tensors: EncoderTensors, hasPast: boolean): Graph {
  const { hiddenSize } = model.encoder;
  const { heads, width, layers, onnxInputs } = model.decoder;
  const b = new OnnxEncoderBuilder('decoder', tensors, { inputs: onnxInputs }, { hasMask: false });
  const { graph, tokens } = b;
  const given = graph.input('encoder_attention_mask', 'int64', ['batch', 'text']);
  const keys = { shape: tokens.op('Shape', [given], 'int64', [2]), mask: cast(graph, given, 'bool') };
  const both = (make: (part: 'key' | 'value') => Value): KeysValues => ({ k: make('key'), v: make('value') });
  const pastOf = (side: 'decoder' | 'encoder', layer: number): KeysValues =>
    both((part) => {
      const length = side === 'decoder' ? 'past' : 'text';
      return graph.input(`past_key_values.${layer}.${side}.${part}`, 'float32', ['batch', heads, length, width]);
    });
  const past = Array.from({ length: hasPast ? layers : 0 }, (_, layer) => ({
    decoder: pastOf('decoder', layer),
    encoder: pastOf('encoder', layer),
  }));
  const [first] = past;
  if (first !== undefined) {
    const shape = tokens.op('Shape', [first.decoder.k], 'int64', [4]);
    tokens.follow(gather(graph, shape, tokens.integer(2)));
  }
  const text = (): Value => {
    const hidden = graph.input('encoder_hidden_states', 'float32', ['batch', 'text', hiddenSize]);
    return tokens.reshape(hidden, [-1, hiddenSize], ['text rows', hiddenSize]);
  };
  const memory = hasPast ? [] : model.memory(b, text());
  const present: (readonly [string, KeysValues])[] = [];
  const last = model.decoder.build({
    b,
    selfAttention({ layer, ...options }) {
      const own = {
        k: byHead(tokens, options.k, tokens.shape, heads),
        v: byHead(tokens, options.v, tokens.shape, heads),
      };
      const before = past[layer]?.decoder;
      const all = before === undefined ? own : { k: after(tokens, before.k, own.k), v: after(tokens, before.v, own.v) };
      present.push([`${layer}.decoder`, all]);
      return b.attention({ ...options, heads, pattern: causal() }, undefined, { byHead: all });
    },
    crossAttention({ layer, ...options }) {
      const [rows, kept] = [memory[layer], past[layer]?.encoder];
      const seen =
        rows === undefined
          ? kept
          : { k: byHead(tokens, rows.k, keys.shape, heads), v: byHead(tokens, rows.v, keys.shape, heads) };
      if (seen === undefined) throw new TypeError(`there is no memory of layer ${layer}`);
      if (kept === undefined) present.push([`${layer}.encoder`, seen]);
      const own = rows ?? { k: inRows(tokens, seen.k), v: inRows(tokens, seen.v) };
      return b.attention({ ...options, ...own, heads, pattern: dense() }, undefined, { keys, byHead: seen });
    },
  });
  const logits = model.head(b, last);
  graph.output(tokens.bySequence(logits, widthOf(logits)), 'logits');
  for (const [name, { k, v }] of present) {
    graph.output(k, `present.${name}.key`);
    graph.output(v, `present.${name}.value`);
  }
  return withBatchAxis(graph.build(), { shape: tokens.shape.name, nodes: b.nodes });
}

/** [rows, H*D], whose batch and length are `shape`, as [batch, H, length, D]. */
function byHead(tokens: OnnxTokens, rows: Value, shape: Value, heads: number): Value {
  const width = widthOf(rows) / heads;
  const sides = concat(tokens.graph, [shape, tokens.integers(heads, width)], 0);
  const parted = tokens.op('Reshape', [rows, sides], 'float32', ['batch', 'length', heads, width]);
  return transposed(tokens, parted, ['batch', heads, 'length', width]);
}

/** Keys or values [batch, H, .., D], and later ones behind them. */
function after(tokens: OnnxTokens, past: Value, own: Value): Value {
  const [batch = 1, heads = 1, , width = 1] = own.shape;
  const shape = [batch, heads, 'all', width];
  return tokens.op('Concat', [past, own], 'float32', shape, { axis: { type: 'int', value: 2 } });
}

/** The other way. */
function inRows(tokens: OnnxTokens, value: Value): Value {
  const [, heads, , width] = value.shape as [unknown, number, unknown, number];
  const parted = transposed(tokens, value, ['batch', 'length', heads, width]);
  return tokens.reshape(parted, [-1, heads * width], ['kept rows', heads * width]);
}

function transposed(tokens: OnnxTokens, value: Value, shape: Value['shape']): Value {
  return tokens.op('Transpose', [value], 'float32', shape, { perm: { type: 'ints', value: [0, 2, 1, 3] } });
}

/** An encoder-decoder as two graphs, as ONNX files of Hugging Face models have it. */
import { cast, type Graph, type Value, withBatchAxis } from '../../graph/index.ts';
import { causal, dense } from '../../pattern/index.ts';
import { widthOf } from '../encoder/builder.ts';
import { OnnxEncoderBuilder } from '../encoder/onnx/builder.ts';
import { encoderOnnxGraph } from '../encoder/onnx/graph.ts';
import type { EncoderTensors } from '../encoder/tensors.ts';
import type { Seq2SeqModel } from './architecture.ts';

export interface Seq2SeqOnnxGraphs {
  /** `input_ids` and `attention_mask` [batch, sequence], and what else encoderOnnxGraph() says, to `last_hidden_state`. */
  readonly encoder: Graph;
  /**
   * `encoder_attention_mask` [batch, text] and `encoder_hidden_states` [batch, text, hidden], the encoder's input and output, and
   * `input_ids` [batch, sequence], the tokens of the outputs so far, to `logits` [batch, sequence, vocabulary]. Shorter outputs are padded
   * at their ends, which no token before sees.
   */
  readonly decoder: Graph;
}

/** Checks the tensors. @throws ArgumentError for a model that cannot be exported, CheckpointError for tensors that are not its own. */
export function seq2seqOnnxGraphs(model: Seq2SeqModel, tensors: EncoderTensors): Seq2SeqOnnxGraphs {
  const encoder = encoderOnnxGraph(model.encoder, tensors, { isPart: true }).graph;
  const decoder = decoderGraph(model, tensors);
  tensors.check();
  return { encoder, decoder };
}

function decoderGraph(model: Seq2SeqModel, tensors: EncoderTensors): Graph {
  const { hiddenSize } = model.encoder;
  const { heads, onnxInputs } = model.decoder;
  const b = new OnnxEncoderBuilder('decoder', tensors, { inputs: onnxInputs }, { hasMask: false });
  const { graph, tokens } = b;
  const given = graph.input('encoder_attention_mask', 'int64', ['batch', 'text']);
  const hidden = graph.input('encoder_hidden_states', 'float32', ['batch', 'text', hiddenSize]);
  const keys = { shape: tokens.op('Shape', [given], 'int64', [2]), mask: cast(graph, given, 'bool') };
  const memory = model.memory(b, tokens.reshape(hidden, [-1, hiddenSize], ['text rows', hiddenSize]));
  const memoryOf = (layer: number): { readonly k: Value; readonly v: Value } => {
    const own = memory[layer];
    if (own === undefined) throw new TypeError(`there is no memory of layer ${layer}`);
    return own;
  };
  const last = model.decoder.build({
    b,
    selfAttention: ({ layer: _, ...options }) => b.attention({ ...options, heads, pattern: causal() }),
    crossAttention: ({ layer, ...options }) =>
      b.attention({ ...options, ...memoryOf(layer), heads, pattern: dense() }, undefined, { keys }),
  });
  const logits = model.head(b, last);
  graph.output(tokens.bySequence(logits, widthOf(logits)), 'logits');
  return withBatchAxis(graph.build(), { shape: tokens.shape.name, nodes: b.nodes });
}

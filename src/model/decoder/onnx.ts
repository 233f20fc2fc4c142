/** A decoder as one graph from token ids to logits, as ONNX files of language models have it. */
import { type Graph, gather, scaleBy, type Value, withBatchAxis } from '../../graph/index.ts';
import type { Pattern } from '../../pattern/index.ts';
import { decoderPattern } from '../decoder-pattern.ts';
import { OnnxEncoderBuilder } from '../encoder/onnx/builder.ts';
import type { EncoderTensors } from '../encoder/tensors.ts';
import { type Angles, type DecoderModel, decoderLayers, decoderLogits } from './architecture.ts';

export interface DecoderOnnxOptions {
  /** What each token sees, cut to what its layer sees. Default: all of that. */
  readonly pattern?: Pattern | undefined;
}

/**
 * `input_ids` and `attention_mask` [batch, sequence] (int64; 0 for padding, on either side) to `logits` [batch, sequence, vocabulary]. Positions
 * count from the start of the sequence. Checks the tensors. @throws CheckpointError for tensors that are not its own.
 */
export function decoderOnnxGraph(
  model: DecoderModel,
  tensors: EncoderTensors,
  { pattern }: DecoderOnnxOptions = {},
): Graph {
  const { vocabularySize, hiddenSize } = model.sizes;
  const b = new OnnxEncoderBuilder('decoder', tensors, {
    inputs: () => ({}),
    ...(pattern === undefined
      ? {}
      : { attention: (_, own) => ({ pattern: decoderPattern(own, pattern, 'given').pattern }) }),
  });
  const { graph, tokens } = b;
  const table = b.tensor(model.embedding, [vocabularySize, hiddenSize]);
  const found = gather(graph, table, tokens.ids);
  const words = model.embeddingScale === 1 ? found : scaleBy(graph, found, model.embeddingScale);
  const turns = [...new Set(model.kinds)].map((kind): [string, { cos: Value; sin: Value }] => {
    const { frequencies, scale } = model.angles[kind] ?? { frequencies: new Float64Array(), scale: 1 };
    return [kind, tokens.angles(kind, frequencies, scale)];
  });
  const hidden = decoderLayers(b, model, words, () => tokens.places, Object.fromEntries(turns) as Angles);
  graph.output(tokens.bySequence(decoderLogits(b, model, hidden), vocabularySize), 'logits');
  if (model.headMatrix !== 'lm_head.weight') tensors.allow('lm_head.weight');
  tensors.check();
  return withBatchAxis(graph.build(), { shape: tokens.shape.name, keyMask: tokens.mask.name, nodes: b.nodes });
}

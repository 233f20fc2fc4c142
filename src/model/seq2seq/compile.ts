/** Builds and compiles the four graphs of an encoder-decoder. */
import { ROWS, type Value } from '../../graph/index.ts';
import { causal, dense } from '../../pattern/index.ts';
import { EncoderBuilder } from '../encoder/builder.ts';
import { compileRows } from '../encoder/compile-rows.ts';
import { HeadRunner } from '../encoder/head-runner.ts';
import { crossPairs, withinSequences } from '../encoder/layout.ts';
import { memoryNames, type Seq2SeqParts, type Seq2SeqPrograms } from './seq2seq.ts';

/** The symbolic number of rows of the text, in the decoder's graph. */
const TEXT_ROWS = 'text rows';

/**
 * The encoder; the keys and values of a text for each layer of the decoder, which are computed once; the decoder, which takes them as
 * inputs, so that its graph has one dimension of rows, its own; and the head.
 * @throws CheckpointError for tensors that are not those of the configuration.
 */
export async function compileSeq2Seq(parts: Seq2SeqParts): Promise<Seq2SeqPrograms> {
  const { model, tensors, backend } = parts;

  const encoder = new EncoderBuilder('encoder', tensors);
  encoder.graph.output(model.encoder.layers(encoder), 'last_hidden');

  const memory = new EncoderBuilder('memory', tensors);
  const { hiddenSize } = model.encoder;
  for (const [i, { k, v }] of model.memory(memory, rowsInput(memory, hiddenSize)).entries()) {
    memory.graph.output(k, `memory_k_${i}`);
    memory.graph.output(v, `memory_v_${i}`);
  }

  const decoder = new EncoderBuilder('decoder', tensors);
  const { heads, width, layers } = model.decoder;
  const ownLayers = new Map<string, number>();
  const inputs = new Map(
    memoryNames(layers).map((name) => [name, decoder.graph.input(name, 'float32', [TEXT_ROWS, heads * width])]),
  );
  const memoryOf = (name: string): Value => {
    const value = inputs.get(name);
    if (value === undefined) throw new TypeError(`there is no ${name}`);
    return value;
  };
  const last = model.decoder.build({
    b: decoder,
    selfAttention({ layer, ...options }) {
      const value = decoder.attention({ ...options, heads, pattern: causal() }, (layout) => [
        { pattern: withinSequences(causal(), layout), weight: 1 },
      ]);
      ownLayers.set(value.name, layer);
      return value;
    },
    crossAttention({ layer, ...options }) {
      const [k, v] = [memoryOf(`memory_k_${layer}`), memoryOf(`memory_v_${layer}`)];
      return decoder.attention({ ...options, k, v, heads, pattern: dense() }, (layout) => [
        { pattern: crossPairs(layout), weight: 1 },
      ]);
    },
  });
  decoder.graph.output(last, 'last_hidden');

  const head = new EncoderBuilder('head', tensors);
  const build = parts.head ?? ((b, hidden) => ({ logits: model.head(b, hidden) }));
  for (const [name, value] of Object.entries(build(head, rowsInput(head, hiddenSize)))) head.graph.output(value, name);
  tensors.check();

  const scores = new Map([...(await encoder.loadScores()), ...(await decoder.loadScores())]);
  const compiled = [];
  try {
    for (const builder of [encoder, memory, decoder]) compiled.push(await compileRows(builder, parts));
  } catch (error) {
    for (const program of compiled) await program.release();
    throw error;
  }
  const [first, second, third] = compiled;
  if (!first || !second || !third) throw new TypeError('three programs');
  return {
    encoder: first,
    encoderPairs: encoder.pairs,
    memory: second,
    decoder: third,
    decoderPairs: decoder.pairs,
    ownLayers,
    head: new HeadRunner('all', head.graph.build(), backend),
    scores,
  };
}

function rowsInput(builder: EncoderBuilder, width: number): Value {
  return builder.graph.input('hidden', 'float32', [ROWS, width]);
}

/** Writes the output of one text, token by token. */
import { KeyValueCache, type WasmDevice } from '../../attention/index.ts';
import type { AttentionCallback, HostTensor } from '../../graph/index.ts';
import { causal } from '../../pattern/index.ts';
import { packedAttention } from '../encoder/attend.ts';
import type { ScoresOf } from '../encoder/builder.ts';
import type { Layout } from '../encoder/layout.ts';
import type { Seq2SeqModel } from './architecture.ts';
import { BeamCache } from './beam-cache.ts';
import { beamSearch } from './beam-search.ts';
import { constrain, type OutputConstraints } from './constraints.ts';
import type { Seq2SeqPrograms } from './seq2seq.ts';

export interface ContinueOptions extends OutputConstraints {
  /** Tokens to generate at most, the end token included. */
  readonly maxTokens: number;
  /** The decoder's first tokens. Default: the model's start token. */
  readonly prefix?: readonly number[];
  /** Outputs that are kept at each step. Default 1: always the most probable token. */
  readonly beams?: number;
  /** With beams: an output of n tokens is worth log p / n^lengthPenalty. Default 1. */
  readonly lengthPenalty?: number;
  /** Continues the output of this text of the batch only. Default: of all. */
  readonly only?: number;
  /** Each token as it is chosen; not with several beams. */
  readonly onToken?: (id: number) => void;
  /** After each step: tokens of the outputs so far. */
  readonly onProgress?: (tokens: number) => void;
  readonly signal?: AbortSignal;
}

/** What is done to the scores of a decoder's own attention. */
export type Scores = ScoresOf;

export interface TextMemory {
  readonly layout: Layout;
  /** Feeds of the decoder's graph: keys and values of the text by layer. */
  readonly memory: Readonly<Record<string, HostTensor>>;
}

export interface Decoding {
  readonly model: Seq2SeqModel;
  readonly device: WasmDevice;
  readonly programs: Seq2SeqPrograms;
  readonly text: TextMemory;
}

/** Always the most probable token that may follow. */
export async function writeGreedily(
  { model, device, programs, text }: Decoding,
  options: ContinueOptions,
): Promise<number[]> {
  const { decoder: program, decoderPairs: pairsOf, ownLayers, head, scores } = programs;
  const { maxTokens, prefix = [model.startToken], onToken, onProgress, signal } = options;
  const { layers, heads, width } = model.decoder;
  const own = { pattern: causal(), heads, keyValueHeads: heads, queryWidth: width, valueWidth: width };
  const cache = new KeyValueCache(device, Array(layers).fill(own));
  const ids: number[] = [];
  try {
    let next = Int32Array.from(prefix);
    while (ids.length < maxTokens) {
      const rows = next.length;
      const layout = { ...batchOf(1, rows), memory: text.layout };
      const cross = packedAttention(device, layout, { pairsOf, scores, signal });
      const attention: AttentionCallback = (node, inputs) => {
        const layer = ownLayers.get(node.name);
        if (layer === undefined) return cross(node, inputs);
        const score = scores.get(node.name)?.(layout);
        return cache.attend(layer, {
          ...inputs,
          scale: node.scale,
          ...(score ? { score } : {}),
          ...(signal ? { signal } : {}),
        });
      };
      const feeds = { ...model.decoder.feeds({ layout, ids: next, first: cache.length }), ...text.memory };
      cache.begin(rows);
      const { last_hidden: last } = await program.runChunk(feeds, attention, { ...(signal ? { signal } : {}) });
      cache.end();
      const [logits] = await head.run(floats(last), layout, [[rows - 1]], signal);
      const row = Float32Array.from(logits?.data[0] ?? []);
      constrain(row, { prefix, ids, maxTokens, endToken: model.endToken }, options);
      const id = largest(row);
      ids.push(id);
      onToken?.(id);
      onProgress?.(ids.length);
      if (id === model.endToken) break;
      next = Int32Array.of(id);
    }
    return ids;
  } finally {
    cache.dispose();
  }
}

/** A beam search whose outputs keep their keys and values. */
export function searchOutput({ model, device, programs, text }: Decoding, options: ContinueOptions): Promise<number[]> {
  const { decoder: program, decoderPairs: pairsOf, ownLayers, head, scores } = programs;
  const { maxTokens, prefix = [model.startToken], beams = 1, lengthPenalty = 1, onProgress, signal } = options;
  const cache = new BeamCache(device, model.decoder.layers);
  const next = async (outputs: readonly (readonly number[])[], parents: readonly number[]): Promise<Float32Array[]> => {
    cache.select(parents);
    const added = outputs.map((own) => (own.length === 0 ? prefix : own.slice(-1)));
    const rows = added[0]?.length ?? 0;
    // Every output looks at the one text.
    const memory = { ...text.layout, sequences: outputs.flatMap(() => text.layout.sequences) };
    const layout = { ...batchOf(outputs.length, rows), memory };
    const cross = packedAttention(device, layout, { pairsOf, scores, signal });
    const attention: AttentionCallback = (node, inputs) => {
      const layer = ownLayers.get(node.name);
      if (layer === undefined) return cross(node, inputs);
      return cache.attend(layer, node, inputs, { score: scores.get(node.name)?.(layout), signal });
    };
    const ids = Int32Array.from(added.flat());
    const feeds = { ...model.decoder.feeds({ layout, ids, first: cache.length }), ...text.memory };
    const { last_hidden: last } = await program.runChunk(feeds, attention, { ...(signal ? { signal } : {}) });
    cache.end(rows);
    const places = outputs.map(() => [rows - 1]);
    const [logits] = await head.run(floats(last), layout, places, signal);
    onProgress?.((outputs[0]?.length ?? 0) + 1);
    return (logits?.data ?? []).map((row, i) => {
      const own = logProbabilities(row);
      constrain(own, { prefix, ids: outputs[i] ?? [], maxTokens, endToken: model.endToken }, options);
      return own;
    });
  };
  return beamSearch({ beams, maxTokens, lengthPenalty, endToken: model.endToken, next });
}

/** Sequences of one length. */
function batchOf(count: number, length: number): Layout {
  const sequences = Array.from({ length: count }, (_, i) => ({
    start: i * length,
    length,
    givenLength: length,
    masked: [],
    globals: [],
  }));
  return { rows: count * length, sequences };
}

export function floats(tensor: HostTensor | undefined): Float32Array {
  if (tensor?.type !== 'float32') throw new TypeError('a float32 tensor is expected');
  return tensor.data;
}

/** Logits less the logarithm of their sum of exponentials, which is taken in float64. */
function logProbabilities(logits: Float32Array): Float32Array {
  const top = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
  return logits.map((logit) => logit - top - Math.log(total));
}

/** The place of the largest number; of equal ones the first. */
function largest(numbers: Float32Array): number {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if ((numbers[i] ?? 0) > (numbers[best] ?? 0)) best = i;
  return best;
}

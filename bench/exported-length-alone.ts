/** Started by exported-length.ts with a file and a length: runs it once in onnxruntime-node, in a process that does only this. */
import { Tensor } from 'onnxruntime-node';
import { openSession } from '../src/cli/bench/model/session.ts';
import { peakResidentBytes } from '../src/cli/bench/peak-resident.ts';
import type { Graph } from '../src/graph/index.ts';
import { findDecoder } from '../src/model/decoder/architectures.ts';
import { decoderOnnxGraph } from '../src/model/decoder/onnx.ts';
import { RandomTensors } from '../src/model/encoder/random.ts';
import { findSeq2Seq } from '../src/model/seq2seq/architectures.ts';
import { seq2seqOnnxGraphs } from '../src/model/seq2seq/onnx.ts';
import { readerOnnxGraph } from '../src/model/seq2seq/reader-onnx.ts';
import { finish, readJob } from './alone.ts';

export interface ExportedLengthJob {
  readonly file: ExportedFile;
  readonly length: number;
  readonly threads: number;
}

export type ExportedFile = 'longt5-encoder' | 'longt5-decoder' | 'led-answers' | 'gemma3';

export interface ExportedLengthResult {
  readonly milliseconds: number;
  /** Peak resident memory of the whole process: Node, ONNX Runtime, the weights, one run. */
  readonly peakMemoryBytes: number;
}

const VOCABULARY = 1000;
const WIDTH = 512;

const LONGT5 = {
  model_type: 'longt5',
  vocab_size: VOCABULARY,
  d_model: WIDTH,
  d_kv: 64,
  d_ff: 1024,
  num_layers: 4,
  num_heads: 8,
  feed_forward_proj: 'gated-gelu',
  encoder_attention_type: 'transient-global',
};

/** As many positions as tokens, which the published LED has on the encoder's side. */
const led = (tokens: number) => ({
  model_type: 'led',
  vocab_size: VOCABULARY,
  d_model: WIDTH,
  encoder_layers: 2,
  decoder_layers: 2,
  encoder_attention_heads: 8,
  decoder_attention_heads: 8,
  encoder_ffn_dim: 1024,
  decoder_ffn_dim: 1024,
  attention_window: 512,
  max_encoder_position_embeddings: tokens,
  max_decoder_position_embeddings: tokens,
});

const GEMMA3 = {
  model_type: 'gemma3_text',
  vocab_size: VOCABULARY,
  hidden_size: WIDTH,
  intermediate_size: 1024,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 1,
  head_dim: 128,
  max_position_embeddings: 131_072,
  sliding_window: 512,
};

function graphOf(file: ExportedFile, tokens: number): Graph {
  const tensors = new RandomTensors();
  const source = 'the benchmark';
  if (file === 'gemma3') {
    const model = findDecoder(GEMMA3)?.read(GEMMA3, source);
    if (model === undefined) throw new TypeError('no Gemma 3');
    return decoderOnnxGraph(model, tensors);
  }
  if (file === 'led-answers') {
    const config = led(tokens);
    const model = findSeq2Seq(config, source).read(config, { source, tensors });
    return readerOnnxGraph(model, 'questionAnswering', tensors);
  }
  const { encoder, decoder } = seq2seqOnnxGraphs(
    findSeq2Seq(LONGT5, source).read(LONGT5, { source, tensors }),
    tensors,
  );
  return file === 'longt5-encoder' ? encoder : decoder;
}

/** Tokens that a decoder has written, when it looks at a long text. */
const WRITTEN = 64;

const { file, length, threads } = readJob<ExportedLengthJob>();
const session = await openSession(graphOf(file, length), length, threads, new AbortController().signal);
const integers = (count: number, value: (i: number) => number) =>
  new Tensor(
    'int64',
    BigInt64Array.from({ length: count }, (_, i) => BigInt(value(i))),
    [1, count],
  );
const feeds: Record<string, Tensor> = {
  input_ids: integers(file === 'longt5-decoder' ? WRITTEN : length, (i) => (i * 7919) % VOCABULARY),
  attention_mask: integers(length, () => 1),
  global_attention_mask: integers(length, (i) => (i < 16 ? 1 : 0)),
  encoder_attention_mask: integers(length, () => 1),
  encoder_hidden_states: new Tensor('float32', new Float32Array(length * WIDTH).fill(0.1), [1, length, WIDTH]),
};
const given = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name] as Tensor]));
const start = performance.now();
await session.run(given);
const milliseconds = performance.now() - start;
finish({ milliseconds, peakMemoryBytes: peakResidentBytes() } satisfies ExportedLengthResult);

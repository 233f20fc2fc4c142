/** Ways of running one decoder. */
import { Tensor } from 'onnxruntime-node';
import { openCheckpoint } from '../../../checkpoint/node.ts';
import { ArgumentError, ModelError } from '../../../errors.ts';
import { bundledPath } from '../../../model/bundled-node.ts';
import { ENCODERS } from '../../../model/encoder/architectures.ts';
import { loadLanguageModel } from '../../../model/index.ts';
import { matchRows } from '../../../model/latest-matches.ts';
import { ARCHITECTURES, llamaConfigFromGguf, llamaConfigFromJson } from '../../../model/llama-config.ts';
import { llamaOnnxGraph, MATCH_ROWS } from '../../../model/llama-onnx.ts';
import { openLlamaWeights } from '../../../model/llama-weights.ts';
import { dense, type Pattern } from '../../../pattern/index.ts';
import { openSession } from '../model/session.ts';
import { idsOf } from '../model/subject.ts';
import { denseTwin } from './dense-twin.ts';

/** Plain data: a second process can be given the same. */
export interface DecoderSubject {
  readonly model: string;
  readonly pattern?: Pattern;
  readonly weights: 'quantized' | 'f32';
  /** Tokens that are generated behind a text. */
  readonly decode: number;
  /** Tokens of the longest text. */
  readonly longest: number;
  readonly threads: number;
}

/** One reading of a text and what is generated behind it. Times in milliseconds. */
export interface DecoderRun {
  readonly prefill: number;
  /** Absent where the contender keeps no keys and values. */
  readonly decode?: number;
  /** Bytes of keys and values at the end. */
  readonly cacheBytes?: number;
  /** What follows the text [vocabulary]. */
  readonly logits: Float32Array;
}

export interface DecoderContender extends AsyncDisposable {
  run(tokens: number, signal: AbortSignal): Promise<DecoderRun>;
}

export interface DecoderContenderFactory {
  /** What it is, for a person. */
  readonly what: string;
  prepare(subject: DecoderSubject, signal: AbortSignal): Promise<DecoderContender>;
}

function onKernels(what: string, isDense: boolean): DecoderContenderFactory {
  return {
    what,
    async prepare({ model: path, pattern, weights, decode, threads }, signal) {
      const model = await loadLanguageModel(path, { weights, threads, signal });
      const sees = isDense ? { pattern: dense(), positions: 'given' as const } : pattern && { pattern };
      return {
        async run(tokens, signal) {
          const ids = idsOf(tokens + decode, model.config.vocabularySize);
          const stream = model.stream({ ...sees, length: tokens + decode });
          try {
            const start = performance.now();
            const logits = await stream.logits(ids.subarray(0, tokens), { signal });
            const read = performance.now();
            for (let i = tokens; i < tokens + decode; i++) await stream.logits(ids.subarray(i, i + 1), { signal });
            return {
              prefill: read - start,
              decode: performance.now() - read,
              cacheBytes: stream.bytes,
              logits,
            };
          } finally {
            stream.close();
          }
        },
        [Symbol.asyncDispose]: () => model.dispose(),
      };
    },
  };
}

const onnxruntime: DecoderContenderFactory = {
  what: 'the dense twin in onnxruntime-node, float32, attention as its own GroupQueryAttention; it reads only',
  async prepare({ model: path, longest, threads }, signal) {
    const opened = await openCheckpoint(bundledPath(path));
    const { checkpoint, format, metadata, config: json } = opened;
    try {
      const type = json?.model_type;
      if (metadata === undefined && !ARCHITECTURES.some((known) => known === type)) {
        throw new ModelError(`onnxruntime-dense is there for the Llama family, not for ${String(type)}`);
      }
      const config =
        metadata === undefined ? llamaConfigFromJson(json ?? {}, path) : llamaConfigFromGguf(metadata, path);
      const weights = openLlamaWeights(checkpoint, config, { format, weights: 'f32', source: path });
      const { graph, output } = denseTwin(await llamaOnnxGraph(config, weights, { keepRows: true }));
      const session = await openSession(graph, longest, threads, signal);
      return {
        async run(tokens) {
          const { vocabularySize, matches } = config;
          const ids = idsOf(tokens, vocabularySize);
          const start = performance.now();
          const feeds = { input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, tokens]) };
          const rows = matches && matchRows(ids, Int32Array.of(0), matches, vocabularySize);
          const found = rows && new Tensor('int64', BigInt64Array.from(rows, BigInt), [1, tokens, matches.length]);
          const outputs = await session.run({ ...feeds, ...(found === undefined ? {} : { [MATCH_ROWS]: found }) });
          return { prefill: performance.now() - start, logits: outputs[output]?.data as Float32Array };
        },
        [Symbol.asyncDispose]: () => session.release(),
      };
    } finally {
      await checkpoint.close();
    }
  },
};

export const decoderContenders = {
  farfield: onKernels('Farfield under the pattern: attention on its kernels, the rest in onnxruntime-node', false),
  'farfield-dense': onKernels('the same, each token seeing all before it', true),
  'onnxruntime-dense': onnxruntime,
} as const satisfies Record<string, DecoderContenderFactory>;

export type DecoderContenderName = keyof typeof decoderContenders;

export const decoderPeers: readonly DecoderContenderName[] = ['farfield-dense', 'onnxruntime-dense'];

/** Whether a path opens as a decoder. @throws CheckpointError where it does not open. */
export async function isDecoder(path: string): Promise<boolean> {
  const { checkpoint, config, metadata } = await openCheckpoint(bundledPath(path));
  await checkpoint.close();
  if (metadata !== undefined) return true;
  const type = config?.model_type;
  return typeof type === 'string' && !Object.hasOwn(ENCODERS, type);
}

/** @throws ArgumentError for a name that decoders do not have. */
export function checkDecoderPeers(names: readonly string[]): DecoderContenderName[] {
  return names.map((name) => {
    const found = decoderPeers.find((peer) => peer === name);
    if (found === undefined) {
      throw new ArgumentError(`--compare ${name} is for encoders; a decoder has ${decoderPeers.join(', ')}`);
    }
    return found;
  });
}

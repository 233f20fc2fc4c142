/** Ways of running one encoder. */
import { Tensor } from 'onnxruntime-node';
import { createDevice } from '../../../attention/index.ts';
import { createNodeBackend, type Graph } from '../../../graph/index.ts';
import { Encoder } from '../../../model/encoder/encoder.ts';
import { encoderOnnxGraph } from '../../../model/encoder/onnx/graph.ts';
import { type DenseForm, withDenseAttention } from './dense-attention.ts';
import { openSession } from './session.ts';
import { globalsOf, idsOf, openSubject, type Subject } from './subject.ts';

/** One way, with its weights in place. */
export interface ModelContender extends AsyncDisposable {
  /** Reads a batch of texts of so many tokens; gives the mean of each one's last hidden state [texts * hidden]. */
  run(lengths: readonly number[], signal: AbortSignal): Promise<Float32Array>;
}

export interface ModelContenderFactory {
  /** What it is, for a person. */
  readonly what: string;
  /** Whether it computes the model's own attention; else each token sees all. */
  readonly sparse: boolean;
  prepare(subject: Subject, signal: AbortSignal): Promise<ModelContender>;
}

/** Attention on the kernels, the rest in onnxruntime-node. */
function onKernels(weights: 'kept' | 'streamed', what: string): ModelContenderFactory {
  return {
    what,
    sparse: true,
    async prepare(subject, signal) {
      const { threads } = subject;
      const { model, close, ...parts } = await openSubject(subject);
      const device = await createDevice({ threads });
      const end = async () => {
        await device.dispose();
        await close();
      };
      const backend = await createNodeBackend({ threads });
      const encoder = await Encoder.create({ ...parts, model, device, backend, weights, close: end, signal });
      return {
        async run(lengths, signal) {
          const results = await encoder.run({
            inputIds: lengths.map((tokens) => idsOf(tokens, model.vocabularySize)),
            ...(model.hasGlobals ? { globalAttentionMask: lengths.map(globalsOf) } : {}),
            outputs: ['mean'],
            signal,
          });
          return Float32Array.from(results.flatMap(({ mean = [] }) => [...mean]));
        },
        [Symbol.asyncDispose]: () => encoder.dispose(),
      };
    },
  };
}

async function onnxContender(
  graph: Graph,
  { longest, threads }: Subject,
  vocabularySize: number,
  signal: AbortSignal,
): Promise<ModelContender> {
  const session = await openSession(graph, longest, threads, signal);
  const inputs: Readonly<Record<string, (tokens: number) => ArrayLike<number>>> = {
    input_ids: (tokens) => idsOf(tokens, vocabularySize),
    attention_mask: (tokens) => new Uint8Array(tokens).fill(1),
    token_type_ids: (tokens) => new Uint8Array(tokens),
    global_attention_mask: globalsOf,
  };
  return {
    async run(lengths) {
      const longest = Math.max(...lengths);
      const feeds = session.inputNames.map((name): [string, Tensor] => {
        const data = new BigInt64Array(lengths.length * longest);
        for (const [i, tokens] of lengths.entries()) {
          data.set(BigInt64Array.from(inputs[name]?.(tokens) ?? [], BigInt), i * longest);
        }
        return [name, new Tensor('int64', data, [lengths.length, longest])];
      });
      const { last_hidden_state: hidden } = await session.run(Object.fromEntries(feeds), ['last_hidden_state']);
      const width = hidden?.dims[2] ?? 0;
      const rows = hidden?.data as Float32Array;
      return Float32Array.from(
        lengths.flatMap((tokens, i) => [...meanOf(rows.subarray(i * longest * width), tokens, width)]),
      );
    },
    [Symbol.asyncDispose]: () => session.release(),
  };
}

function meanOf(rows: Float32Array, tokens: number, width: number): Float32Array {
  const sums = new Float64Array(width);
  for (let row = 0; row < tokens * width; row += width) {
    for (let d = 0; d < width; d++) sums[d] = (sums[d] ?? 0) + (rows[row + d] ?? 0);
  }
  return Float32Array.from(sums, (sum) => sum / tokens);
}

function denseTwin(form: DenseForm, what: string): ModelContenderFactory {
  return {
    what,
    sparse: false,
    async prepare(subject, signal) {
      const { model, tensors, close } = await openSubject(subject, { dense: true });
      try {
        const { graph, shape } = encoderOnnxGraph(model, tensors, { keepRows: true });
        return await onnxContender(withDenseAttention(graph, shape, form), subject, model.vocabularySize, signal);
      } finally {
        await close();
      }
    },
  };
}

const exported: ModelContenderFactory = {
  what: 'what `farfield export` writes, in onnxruntime-node alone',
  sparse: true,
  async prepare(subject, signal) {
    const { model, tensors, close } = await openSubject(subject);
    try {
      return await onnxContender(encoderOnnxGraph(model, tensors).graph, subject, model.vocabularySize, signal);
    } finally {
      await close();
    }
  },
};

export const modelContenders = {
  farfield: onKernels('kept', 'Farfield: attention on its kernels, the rest in onnxruntime-node'),
  'farfield-streamed': onKernels('streamed', "the same, each layer's weights read when its turn comes, then freed"),
  'onnxruntime-dense': denseTwin(
    'fused',
    'the dense twin in onnxruntime-node, attention as its own MultiHeadAttention',
  ),
  'onnxruntime-plain': denseTwin(
    'plain',
    'the dense twin in onnxruntime-node, attention as exporters write it: MatMul, Softmax, MatMul',
  ),
  'onnxruntime-export': exported,
} as const satisfies Record<string, ModelContenderFactory>;

export type ModelContenderName = keyof typeof modelContenders;

/** What --compare may name. */
export const modelPeers = [
  'farfield-streamed',
  'onnxruntime-dense',
  'onnxruntime-plain',
  'onnxruntime-export',
] as const;

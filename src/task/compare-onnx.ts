import { ModelError } from '../errors.ts';
import {
  compileBatchProgram,
  type DenseBackend,
  type Graph,
  type HostTensor,
  kernelAttention,
} from '../graph/index.ts';

export interface CompareOnnxOptions {
  /** The model as it is, and with its attention rewritten (rewriteAttention). */
  readonly dense: Graph;
  readonly sparse: Graph;
  /** Token ids [n], one text. */
  readonly ids: ArrayLike<number>;
  readonly backend: DenseBackend;
  /** After each of four steps: each model compiled, and run. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** How far one output of the sparse model is from the dense one's. */
export interface OutputDifference {
  readonly output: string;
  readonly largestDifference: number;
  /** Cosine of the angle between both models' rows, along the last axis: mean and least over all rows. 1: the same direction. */
  readonly meanCosine: number;
  readonly leastCosine: number;
}

/**
 * Runs a text through a dense model and its sparse form. The model may take input_ids, attention_mask, token_type_ids and
 * position_ids, [batch, sequence] each. Throws ModelError that names any other input, and DeviceError where the text is too long for
 * the model.
 */
export async function compareOnnx({
  dense,
  sparse,
  ids,
  backend,
  onProgress,
  signal,
}: CompareOnnxOptions): Promise<OutputDifference[]> {
  const cancel = signal === undefined ? {} : { signal };
  const outputs: Record<string, HostTensor>[] = [];
  for (const [i, graph] of [dense, sparse].entries()) {
    const program = await compileBatchProgram(graph, backend, { attention: kernelAttention(), ...cancel });
    try {
      onProgress?.(2 * i + 1, 4);
      outputs.push(await program.run(feedsOf(graph, ids), cancel));
      onProgress?.(2 * i + 2, 4);
    } finally {
      await program.release();
    }
  }
  const [want = {}, got = {}] = outputs;
  return Object.entries(want).flatMap(([output, wanted]) => {
    const own = got[output];
    if (wanted.type !== 'float32' || own?.type !== 'float32') return [];
    return [{ output, ...difference(own.data, wanted.data, wanted.shape.at(-1) ?? 1) }];
  });
}

function feedsOf(graph: Graph, ids: ArrayLike<number>): Record<string, HostTensor> {
  const valueAt: Readonly<Record<string, (i: number) => number>> = {
    input_ids: (i) => ids[i] ?? 0,
    attention_mask: () => 1,
    token_type_ids: () => 0,
    position_ids: (i) => i,
  };
  const shape = [1, ids.length];
  return Object.fromEntries(
    graph.inputs.map(({ name, type }): [string, HostTensor] => {
      const at = Object.hasOwn(valueAt, name) ? valueAt[name] : undefined;
      if (at === undefined || (type !== 'int64' && type !== 'int32')) {
        throw new ModelError(
          `the model takes ${name} (${type}), which a text does not give; it is compared without --text`,
        );
      }
      const numbers = Array.from({ length: ids.length }, (_, i) => at(i));
      return type === 'int64'
        ? [name, { type, data: BigInt64Array.from(numbers, BigInt), shape }]
        : [name, { type, data: Int32Array.from(numbers), shape }];
    }),
  );
}

function difference(got: Float32Array, want: Float32Array, width: number): Omit<OutputDifference, 'output'> {
  let largestDifference = 0;
  let sum = 0;
  let leastCosine = 1;
  const rows = want.length / width;
  for (let row = 0; row < rows; row++) {
    let [dot, a, b] = [0, 0, 0];
    for (let i = row * width; i < (row + 1) * width; i++) {
      const [x, y] = [got[i] ?? 0, want[i] ?? 0];
      largestDifference = Math.max(largestDifference, Math.abs(x - y));
      dot += x * y;
      a += x * x;
      b += y * y;
    }
    const cosine = a === 0 && b === 0 ? 1 : dot / Math.sqrt(a * b);
    sum += cosine;
    leastCosine = Math.min(leastCosine, cosine);
  }
  return { largestDifference, meanCosine: rows === 0 ? 1 : sum / rows, leastCosine };
}

/** One case of golden/hf whose model is an encoder. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/node.ts';
import { exportOnnx } from '../../src/graph/index.ts';
import { findEncoder } from '../../src/model/encoder/architectures.ts';
import { EncoderTensors } from '../../src/model/encoder/tensors.ts';
import { openForExport } from '../../src/model/export-node.ts';
import {
  type Encoder,
  type EncoderInput,
  type EncoderOutput,
  loadEncoder,
  type RandomBlockTables,
} from '../../src/model/index.ts';
import { disagreement, type GoldenTensor, readTensors, type Tolerance } from './folders.ts';

export interface EncoderCase {
  readonly mode: 'eval' | 'train';
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly tolerance: Tolerance;
}

/** The arguments of Hugging Face's forward pass. */
const INPUTS: Readonly<Record<string, keyof EncoderInput>> = {
  input_ids: 'inputIds',
  attention_mask: 'attentionMask',
  global_attention_mask: 'globalAttentionMask',
  token_type_ids: 'tokenTypes',
};

const OUTPUTS: Readonly<Record<string, (output: EncoderOutput) => ArrayLike<number> | undefined>> = {
  last_hidden_state: ({ hidden }) => hidden?.data,
  pooler_output: ({ pooled }) => pooled,
  logits: ({ logits }) => logits?.data,
  start_logits: ({ startLogits }) => startLogits,
  end_logits: ({ endLogits }) => endLogits,
};

/** The slices along the first axis. */
export function rowsOf({ data, shape }: GoldenTensor): (Float32Array | Int32Array)[] {
  const size = data.length / (shape[0] ?? 1);
  return Array.from({ length: shape[0] ?? 1 }, (_, row) => data.subarray(row * size, (row + 1) * size));
}

/** [heads, blocks, drawn] as lists. */
function tablesOf({ data, shape: [heads = 0, blocks = 0, drawn = 0] }: GoldenTensor): RandomBlockTables {
  const range = (length: number) => Array.from({ length }, (_, i) => i);
  return range(heads).map((head) =>
    range(blocks).map((block) => range(drawn).map((i) => data[(head * blocks + block) * drawn + i] ?? -1)),
  );
}

/** Runs the case as one packed batch, its sequences one by one, and the batch with streamed weights, which gives the same bits, and compares the outputs where they count. */
export async function checkEncoderCase(
  folder: string,
  { mode, inputs, outputs, tolerance }: EncoderCase,
): Promise<void> {
  const io = await readTensors(folder, 'io.safetensors');
  const has = (name: string) => {
    try {
      return io(name) !== undefined;
    } catch {
      return false;
    }
  };
  await using encoder = await loadEncoder(folder);
  const batch: Record<string, (Float32Array | Int32Array)[]> = {};
  for (const name of inputs) {
    const argument = INPUTS[name];
    if (argument === undefined) throw new Error(`no argument for ${name}`);
    batch[argument] = rowsOf(io(name));
  }
  const randomBlocks: RandomBlockTables[] = [];
  if (mode === 'train') {
    for (let layer = 0; has(`rand_attn.${layer}`); layer++) randomBlocks.push(tablesOf(io(`rand_attn.${layer}`)));
  }
  const run = (input: object, model: Encoder = encoder) =>
    model.run({ inputIds: [], ...input, ...(randomBlocks.length > 0 ? { randomBlocks } : {}) });
  const packed = await run(batch);
  const alone: EncoderOutput[] = [];
  for (const row of packed.keys()) {
    const own = Object.entries(batch).map(([name, rows]) => [name, [rows[row]]]);
    alone.push(...(await run(Object.fromEntries(own))));
  }
  await using lean = await loadEncoder(folder, { weights: 'streamed' });
  const streamed = await run(batch, lean);
  expect(packed.length).toBeGreaterThan(0);
  expect(streamed).toEqual(packed);
  for (const name of outputs) {
    const want = rowsOf(io(name));
    const valid = has(`valid.${name}`) ? rowsOf(io(`valid.${name}`)) : undefined;
    for (const [way, results] of Object.entries({ packed, alone, streamed })) {
      for (const [row, result] of results.entries()) {
        const got = OUTPUTS[name]?.(result) ?? [];
        const numbers = want[row] ?? [];
        expect([name, way, row, got.length]).toEqual([name, way, row, numbers.length]);
        const own = valid?.[row];
        const width = numbers.length / (own?.length ?? 1);
        const counts = (list: ArrayLike<number>) =>
          Array.from(list).filter((_, i) => own === undefined || own[Math.floor(i / width)] === 1);
        expect(counts(numbers).length).toBeGreaterThan(0);
        expect([name, way, row, disagreement(counts(got), counts(numbers), tolerance)]).toEqual([name, way, row, '']);
      }
    }
  }
}

/** Runs the case as an exported file in ONNX Runtime, a batch as it was given, and compares the outputs where they count. */
export async function checkExportedCase(folder: string, { inputs, outputs, tolerance }: EncoderCase): Promise<void> {
  const io = await readTensors(folder, 'io.safetensors');
  const opened = await openForExport(folder);
  const { model } = await exportOnnx(opened.parts[0].graph);
  await opened.close();
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const ids = io('input_ids');
    const defaults = await defaultsOf(folder, rowsOf(ids) as Int32Array[]);
    const feeds = session.inputNames.map((name): [string, Tensor] => {
      const data = inputs.includes(name) ? io(name).data : (defaults[name] ?? Array.from(ids.data, () => 0));
      return [name, new Tensor('int64', BigInt64Array.from(data, BigInt), [...ids.shape])];
    });
    const results = await session.run(Object.fromEntries(feeds));
    for (const name of outputs) {
      const want = io(name);
      const got = results[name];
      expect([name, got?.dims]).toEqual([name, want.shape]);
      const valid = validOf(io, name);
      const width = want.data.length / (valid?.length ?? 1);
      const counts = (list: ArrayLike<number>) =>
        Array.from(list).filter((_, i) => valid === undefined || valid[Math.floor(i / width)] === 1);
      expect(counts(want.data).length).toBeGreaterThan(0);
      const difference = disagreement(counts(got?.data as Float32Array), counts(want.data), tolerance);
      expect([name, difference]).toEqual([name, '']);
    }
  } finally {
    await session.release();
  }
}

/** What the published forward pass makes of inputs that are left out; a file must be given all of them. */
async function defaultsOf(folder: string, ids: readonly Int32Array[]): Promise<Record<string, number[]>> {
  const { checkpoint, config = {} } = await openCheckpoint(folder);
  const { architecture, task } = findEncoder(config, folder);
  const tensors = new EncoderTensors({ checkpoint, source: folder, ...architecture });
  const model = architecture.read(config, { source: folder, task, tensors, pattern: undefined, positions: 'given' });
  await checkpoint.close();
  const made = ids.map((own) => model.defaults?.(own, folder) ?? {});
  const flat = (list: 'globals' | 'tokenTypes') =>
    made.flatMap((each, i) => Array.from(each[list] ?? new Uint8Array(ids[i]?.length ?? 0)));
  return {
    attention_mask: ids.flatMap((own) => Array.from(own, () => 1)),
    global_attention_mask: flat('globals'),
    token_type_ids: flat('tokenTypes'),
  };
}

function validOf(io: (name: string) => GoldenTensor, name: string): ArrayLike<number> | undefined {
  try {
    return io(`valid.${name}`).data;
  } catch {
    return undefined;
  }
}

/** One case of golden/hf whose model is an encoder. */
import { expect } from 'vitest';
import { type EncoderInput, type EncoderOutput, loadEncoder, type RandomBlockTables } from '../../src/model/index.ts';
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

/** Runs the case as one packed batch, and its sequences one by one, and compares the outputs where they count. */
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
  const run = (input: object) =>
    encoder.run({ inputIds: [], ...input, ...(randomBlocks.length > 0 ? { randomBlocks } : {}) });
  const packed = await run(batch);
  const alone: EncoderOutput[] = [];
  for (const row of packed.keys()) {
    const own = Object.entries(batch).map(([name, rows]) => [name, [rows[row]]]);
    alone.push(...(await run(Object.fromEntries(own))));
  }
  expect(packed.length).toBeGreaterThan(0);
  for (const name of outputs) {
    const want = rowsOf(io(name));
    const valid = has(`valid.${name}`) ? rowsOf(io(`valid.${name}`)) : undefined;
    for (const [way, results] of Object.entries({ packed, alone })) {
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

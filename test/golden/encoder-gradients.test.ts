/** Gradients of golden/hf, from Hugging Face transformers, for encoders and their heads: Longformer, BigBird, ModernBERT. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../src/attention/index.ts';
import { openCheckpoint } from '../../src/checkpoint/node.ts';
import { compileTraining, createNodeBackend, weightsAsInputs } from '../../src/graph/index.ts';
import { findEncoder } from '../../src/model/encoder/architectures.ts';
import { EncoderBuilder } from '../../src/model/encoder/builder.ts';
import { EncoderGradientPass } from '../../src/model/encoder/gradient-pass.ts';
import type { RandomBlockTables } from '../../src/model/encoder/layout.ts';
import { checkSequences, packSequences } from '../../src/model/encoder/sequences.ts';
import { EncoderTensors } from '../../src/model/encoder/tensors.ts';
import { casesOf, GOLDEN, readJson, readTensors } from './folders.ts';

const HF = join(GOLDEN, 'hf');
/** Heads that read every row; those of the others come after pooling. */
const IMPLEMENTED =
  /^(Longformer|BigBird|ModernBert)(Decoder)?(Model|ForMaskedLM|ForCausalLM|ForQuestionAnswering|ForTokenClassification)$/;
/** By the names of golden outputs. */
const OUTPUTS: Readonly<Record<string, string>> = {
  last_hidden_state: 'last_hidden',
  logits: 'logits',
  start_logits: 'startLogits',
  end_logits: 'endLogits',
};

interface Case {
  readonly model_class: string;
  readonly inputs: readonly string[];
  readonly gradients: readonly string[];
  readonly loss: { readonly on: readonly string[] };
  readonly tolerance: { readonly grad_rel_to_max: number };
}

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
});
afterAll(() => device.dispose());

describe.skipIf(!existsSync(HF))('golden/hf: gradients of encoders', () => {
  for (const name of casesOf(HF)) {
    const golden = readJson<Case>(HF, name, 'case.json');
    if (!IMPLEMENTED.test(golden.model_class)) {
      it.skip(`${name} (${golden.model_class})`);
      continue;
    }
    it.each(['none', 'layer'] as const)(`${name}, checkpoint %s`, async (checkpoint) => {
      const io = await readTensors(HF, name, 'io.safetensors');
      const opened = await openCheckpoint(join(HF, name));
      const { architecture, task } = findEncoder(opened.config ?? {}, name, undefined);
      const tensors = new EncoderTensors({ checkpoint: opened.checkpoint, source: name, ...architecture });
      const context = { source: name, task, tensors, pattern: undefined, positions: 'given' } as const;
      const model = architecture.read(opened.config ?? {}, context);
      const body = new EncoderBuilder('encoder', tensors);
      const hidden = model.layers(body);
      const made = model.heads.head?.build(body, hidden) ?? { last_hidden: hidden };
      for (const [output, value] of Object.entries(made)) body.graph.output(value, output);
      const { graph, weights } = weightsAsInputs(body.graph.build(), (own) => opened.checkpoint.has(own));
      const data = new Map<string, Float32Array>();
      for (const weight of weights) data.set(weight.name, (await weight.load()) as Float32Array);
      await opened.checkpoint.close();

      const [count = 0, width = 0] = io('input_ids').shape;
      const lists = (input: string): number[][] | undefined => {
        if (!golden.inputs.includes(input)) return undefined;
        const numbers = Array.from(io(input).data, Number);
        return Array.from({ length: count }, (_, row) => numbers.slice(row * width, (row + 1) * width));
      };
      const [attentionMask, globalAttentionMask] = [lists('attention_mask'), lists('global_attention_mask')];
      const tokenTypes = lists('token_type_ids');
      const sequences = checkSequences(
        {
          inputIds: lists('input_ids') ?? [],
          ...(attentionMask === undefined ? {} : { attentionMask }),
          ...(globalAttentionMask === undefined ? {} : { globalAttentionMask }),
          ...(tokenTypes === undefined ? {} : { tokenTypes }),
        },
        model,
      );
      const packed = packSequences(sequences, await randomBlocks(join(HF, name)));
      const program = await compileTraining(graph, await createNodeBackend(), { checkpoint });
      const sums = program.parameters.map((parameter) => new Float32Array(data.get(parameter.name)?.length ?? 0));
      const { rows } = packed.layout;
      const lossWeights = io('loss_weights').data;
      const share = lossWeights.length / golden.loss.on.length;
      const columns = share / (count * width);
      const upstream = golden.loss.on.map((on, k) => {
        const seeds = new Float32Array(rows * columns);
        for (const [i, { start, length }] of packed.layout.sequences.entries()) {
          const from = k * share + i * width * columns;
          for (let j = 0; j < length * columns; j++) {
            seeds[start * columns + j] = (lossWeights[from + j] as number) / lossWeights.length;
          }
        }
        return [OUTPUTS[on], { type: 'float32', data: seeds, shape: [rows, columns] }] as const;
      });
      await program.step({
        feeds: model.feeds(packed),
        parameters: program.parameters.map((parameter) => data.get(parameter.name) as Float32Array),
        attention: new EncoderGradientPass(device, packed.layout, body.pairs),
        outputGradients: Object.fromEntries(upstream),
        gradients: sums,
      });
      await program.release();
      expect(golden.gradients.length).toBeGreaterThan(0);
      for (const own of golden.gradients) {
        const want = io(`grad.${own}`).data;
        const got = sums[program.parameters.findIndex((parameter) => parameter.name === own)] ?? [];
        expect(got.length, own).toBe(want.length);
        const largest = Math.max(...Array.from(want, Math.abs));
        const worst = Math.max(...Array.from(want, (value, i) => Math.abs(value - (got[i] as number))));
        expect(worst / largest, own).toBeLessThanOrEqual(golden.tolerance.grad_rel_to_max);
      }
    });
  }
});

/** The random blocks that a case of BigBird was run with, by layer. */
async function randomBlocks(folder: string): Promise<RandomBlockTables[] | undefined> {
  const { checkpoint } = await openCheckpoint(join(folder, 'io.safetensors'));
  const names = checkpoint.names().filter((name) => name.startsWith('rand_attn.'));
  await checkpoint.close();
  if (names.length === 0) return undefined;
  const io = await readTensors(folder, 'io.safetensors');
  return names.map((_, layer) => {
    const { shape, data } = io(`rand_attn.${layer}`);
    const [heads = 0, blocks = 0, each = 0] = shape;
    return Array.from({ length: heads }, (_, head) =>
      Array.from({ length: blocks }, (_, block) => {
        const at = (head * blocks + block) * each;
        return Array.from(data.subarray(at, at + each), Number);
      }),
    );
  });
}

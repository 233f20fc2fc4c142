/** Gradients of golden/hf, from Hugging Face transformers, for the architectures whose weights train. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../src/attention/index.ts';
import { openCheckpoint } from '../../src/checkpoint/node.ts';
import { compileTraining, createNodeBackend, type HostTensor, PackedAttention } from '../../src/graph/index.ts';
import { llamaConfigFromJson, trainableLlama } from '../../src/model/index.ts';
import { rotaryFrequencies } from '../../src/model/llama-config.ts';
import { openLlamaWeights } from '../../src/model/llama-weights.ts';
import { casesOf, GOLDEN, readJson, readTensors } from './folders.ts';

const HF = join(GOLDEN, 'hf');
const IMPLEMENTED = ['LlamaForCausalLM', 'MistralForCausalLM'];
const EMBEDDING = 'model.embed_tokens.weight';

interface Case {
  readonly model_class: string;
  readonly gradients: readonly string[];
  readonly tolerance: { readonly grad_rel_to_max: number };
}

let device: WasmDevice;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
});
afterAll(() => device.dispose());

const floats = (data: Float32Array, shape: readonly number[]): HostTensor => ({ type: 'float32', data, shape });

describe.skipIf(!existsSync(HF))('golden/hf: gradients', () => {
  for (const name of casesOf(HF)) {
    const { model_class: architecture, gradients: wanted, tolerance } = readJson<Case>(HF, name, 'case.json');
    if (!IMPLEMENTED.includes(architecture)) {
      it.skip(`${name} (${architecture})`);
      continue;
    }
    it.each(['none', 'layer'] as const)(`${name}, checkpoint %s`, async (checkpoint) => {
      const io = await readTensors(HF, name, 'io.safetensors');
      const opened = await openCheckpoint(join(HF, name));
      const config = llamaConfigFromJson(opened.config ?? {}, name);
      const weights = openLlamaWeights(opened.checkpoint, config, {
        format: 'safetensors',
        weights: 'f32',
        source: name,
      });
      const { graph, parameters } = await trainableLlama(config, weights, undefined, 'logits');
      await opened.checkpoint.close();
      const program = await compileTraining(graph, await createNodeBackend(), { checkpoint, inputs: ['hidden'] });
      const named = new Map(parameters.map((parameter) => [parameter.name, parameter.data]));
      const sums = new Map(parameters.map(({ name: own, data }) => [own, new Float32Array(data.length)]));
      const attention = new PackedAttention(device);
      const table = named.get(EMBEDDING) as Float32Array;
      const frequencies = rotaryFrequencies(config, undefined);

      // Rows of the batch one after the other, without their padding: their weights are 0.
      const { data: mask, shape } = io('attention_mask');
      const [, width = 0] = shape;
      const real = Array.from(mask.keys()).filter((i) => mask[i] === 1);
      const rows = real.length;
      attention.pack(
        [...real.keys()].filter(
          (i) => i === 0 || Math.floor((real[i] ?? 0) / width) !== Math.floor((real[i - 1] ?? 0) / width),
        ),
        rows,
      );
      const ids = real.map((i) => io('input_ids').data[i] as number);
      const take = (from: ArrayLike<number>, places: readonly number[], columns: number): HostTensor =>
        floats(
          Float32Array.from(
            places.flatMap((place) => Array.from({ length: columns }, (_, j) => from[place * columns + j] as number)),
          ),
          [places.length, columns],
        );
      const angle = (f: (x: number) => number): HostTensor =>
        floats(
          Float32Array.from(real.flatMap((i) => Array.from(frequencies, (frequency) => f((i % width) * frequency)))),
          [rows, frequencies.length],
        );
      const { vocabularySize, hiddenSize } = config;
      const lossWeights = io('loss_weights').data;
      const upstream = take(
        Float32Array.from(lossWeights, (weight) => weight / lossWeights.length),
        real,
        vocabularySize,
      );
      const { inputGradients } = await program.step({
        feeds: {
          hidden: take(table, ids, hiddenSize),
          cos: angle(Math.cos),
          sin: angle(Math.sin),
        },
        parameters: program.parameters.map((parameter) => named.get(parameter.name) as Float32Array),
        gradients: program.parameters.map((parameter) => sums.get(parameter.name) as Float32Array),
        attention,
        outputGradients: { logits: upstream },
      });
      const hidden = inputGradients.hidden?.data as Float32Array;
      const ofTable = sums.get(EMBEDDING) as Float32Array;
      for (const [row, id] of ids.entries()) {
        for (let i = 0; i < hiddenSize; i++) ofTable[id * hiddenSize + i] += hidden[row * hiddenSize + i] as number;
      }
      await program.release();
      expect(wanted.length).toBeGreaterThan(0);
      for (const own of wanted) {
        const want = io(`grad.${own}`).data;
        const got = sums.get(own) ?? [];
        expect(got.length).toBe(want.length);
        const largest = Math.max(...Array.from(want, Math.abs));
        const worst = Math.max(...Array.from(want, (value, i) => Math.abs(value - (got[i] as number))));
        expect(worst / largest, own).toBeLessThanOrEqual(tolerance.grad_rel_to_max);
      }
    });
  }
});

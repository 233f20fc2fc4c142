/** Gemma 3 with eyes: the text part of its checkpoints, under both namings, beside the same decoder alone. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TensorToWrite, writeSafetensors } from '../../src/checkpoint/index.ts';
import { openCheckpoint } from '../../src/checkpoint/node.ts';
import { findDecoder } from '../../src/model/decoder/architectures.ts';
import { textPart } from '../../src/model/decoder/text-part.ts';
import { loadLanguageModel } from '../../src/model/index.ts';
import { causal, window } from '../../src/pattern/index.ts';
import { disagreement, GOLDEN, readJson, readTensors } from './folders.ts';
import { caseRows, farfield, wordTokenizerJson } from './word-models.ts';

const CASE = join(GOLDEN, 'hf/gemma3');

/** Names of transformers 4.50 to 4.56, which published files have, and of later ones. */
const NAMINGS: Readonly<Record<string, (name: string) => string>> = {
  published: (name) => (/^(model|vision|multi)/.test(name) ? name.replace(/^model\./, 'language_model.model.') : name),
  later: (name) => (name.startsWith('model.') ? name.replace(/^model\./, 'model.language_model.') : `model.${name}`),
};

describe.skipIf(!existsSync(CASE))('Gemma 3 of texts and pictures', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-gemma3-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function make(naming: string, more: readonly TensorToWrite[] = [], config: object = {}): Promise<string> {
    const path = await mkdtemp(join(folder, `${naming}-`));
    const { checkpoint } = await openCheckpoint(CASE);
    const stored = await readTensors(CASE, 'model.safetensors');
    const one = (name: string) => ({ name, shape: [1], data: new Float32Array(1) });
    const tensors = [
      ...checkpoint.names().map((name) => ({ name, ...stored(name) })),
      one('vision_tower.vision_model.embeddings.patch_embedding.weight'),
      one('vision_tower.vision_model.post_layernorm.bias'),
      one('multi_modal_projector.mm_input_projection_weight'),
    ];
    await checkpoint.close();
    const rename = NAMINGS[naming] ?? ((name) => name);
    const renamed = tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) }));
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'model.safetensors'), writeSafetensors([...renamed, ...more]));
    const text = readJson<object>(CASE, 'config.json');
    const whole = {
      model_type: 'gemma3',
      architectures: ['Gemma3ForConditionalGeneration'],
      text_config: text,
      vision_config: { model_type: 'siglip_vision_model', hidden_size: 8 },
      ...config,
    };
    await writeFile(join(path, 'config.json'), JSON.stringify(whole));
    await writeFile(join(path, 'tokenizer.json'), JSON.stringify(wordTokenizerJson({ size: 80 })));
    return path;
  }

  it.each(Object.keys(NAMINGS))('gives the logits of transformers, with the %s names', async (naming) => {
    const path = await make(naming);
    await using model = await loadLanguageModel(path, { threads: 1 });
    expect(model.leftOut).toEqual({ vision_tower: 2, multi_modal_projector: 1 });
    const { io, rows, length } = await caseRows('gemma3');
    const { tolerance } = readJson<{ tolerance: { atol: number; rtol: number } }>(CASE, 'case.json');
    const [ids = []] = rows;
    const { data, shape } = io('logits');
    const vocabulary = shape[2] ?? 0;
    expect(ids.length).toBe(length);
    const stream = model.stream();
    for (const [i, id] of ids.entries()) {
      const want = data.subarray(i * vocabulary, (i + 1) * vocabulary);
      expect([i, disagreement(await stream.logits([id]), want, tolerance)]).toEqual([i, '']);
    }
    stream.close();
  });

  it('says what is left out, and names what belongs to no part', async () => {
    const args = ['--prompt', 'w8 w9', '--max-tokens', '2', '--threads', '1'];
    const { code, stderr } = await farfield('generate', '--model', await make('published'), ...args);
    expect(code).toBe(0);
    expect(stderr).toContain('left out vision_tower (2 tensors), multi_modal_projector (1 tensor)');
    const odd = { name: 'audio_tower.weight', shape: [1], data: new Float32Array(1) };
    const refused = await farfield('generate', '--model', await make('published', [odd]), ...args);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('1 do not belong to the model (audio_tower.weight)');
    const none = await farfield('generate', '--model', await make('later', [], { text_config: undefined }), ...args);
    expect(none.stderr).toContain(
      'config.json: model_type is "gemma3", a model of texts and pictures, and text_config is missing',
    );
  });

  it('takes the fields that a published file leaves out from transformers', async () => {
    // The text_config of the 4b model.
    const published = {
      hidden_size: 2560,
      intermediate_size: 10240,
      model_type: 'gemma3_text',
      num_hidden_layers: 34,
      rope_scaling: { factor: 8.0, rope_type: 'linear' },
      sliding_window: 1024,
    };
    const { checkpoint } = await openCheckpoint(await make('published'));
    const { config } = textPart({ model_type: 'gemma3', text_config: published }, checkpoint, 'config.json');
    await checkpoint.close();
    const model = findDecoder(config)?.read(config, 'config.json');
    expect(model?.sizes).toMatchObject({
      vocabularySize: 262_208,
      hiddenSize: 2560,
      heads: 8,
      keyValueHeads: 4,
      headWidth: 256,
      context: 131_072,
    });
    const near = window({ left: 1023 });
    expect(model?.patterns.slice(0, 7)).toEqual([near, near, near, near, near, causal(), near]);
    expect(model?.angles.sliding_attention?.frequencies[1]).toBeCloseTo(1e4 ** (-1 / 128), 12);
    expect(model?.angles.full_attention?.frequencies[1]).toBeCloseTo(1e6 ** (-1 / 128) / 8, 12);
  });
});

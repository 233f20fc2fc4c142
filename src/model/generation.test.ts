import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ModelError } from '../errors.ts';
import { endTokensOfGguf, readGeneration } from './generation.ts';
import { generationIn } from './generation-node.ts';

const file = (json: object, source = 'generation_config.json') => ({ json, source });

it('takes what the first file says, and from the second what it leaves open', () => {
  // As published with Llama 3 and with LED.
  const llama = file({ bos_token_id: 128000, eos_token_id: [128001, 128009], temperature: 0.6, top_p: 0.9 });
  expect(readGeneration([llama, file({ eos_token_id: 128001 })]).endTokens).toEqual([128001, 128009]);
  const led = { eos_token_id: 2, forced_eos_token_id: 2, length_penalty: 2, max_length: 512, min_length: 100 };
  expect(readGeneration([file({ num_beams: 4 }), file({ ...led, num_beams: 1, no_repeat_ngram_size: 3 })])).toEqual({
    endTokens: [2],
    firstToken: undefined,
    lastToken: 2,
    // Without the token that the decoder begins with.
    maxTokens: 511,
    minTokens: 99,
    beams: 4,
    lengthPenalty: 2,
    noRepeat: 3,
  });
  expect(readGeneration([file({ max_length: 20, max_new_tokens: 64 })]).maxTokens).toBe(64);
  expect(readGeneration([file({ eos_token_id: null, num_beams: null })])).toMatchObject({
    endTokens: [],
    beams: undefined,
  });
});

it('names a field that is impossible', async () => {
  expect(() => readGeneration([file({ num_beams: 0 })])).toThrow(ModelError);
  expect(() => readGeneration([file({ num_beams: 0 })])).toThrow(
    'generation_config.json: num_beams is 0; it must be at least 1',
  );
  expect(() => readGeneration([file({ eos_token_id: 'end' })])).toThrow('eos_token_id is "end"; it must be a token id');
  const folder = await mkdtemp(join(tmpdir(), 'farfield-generation-'));
  try {
    const config = file({ eos_token_id: 7 }, 'config.json');
    expect((await generationIn(folder, config)).endTokens).toEqual([7]);
    await writeFile(join(folder, 'generation_config.json'), '{');
    await expect(generationIn(folder, config)).rejects.toThrow('generation_config.json: is not JSON');
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('knows the ends of GGUF', () => {
  const metadata = new Map<string, number>([
    ['tokenizer.ggml.eos_token_id', 2],
    ['tokenizer.ggml.eot_token_id', 5],
  ]);
  expect(endTokensOfGguf(metadata)).toEqual([2, 5]);
});

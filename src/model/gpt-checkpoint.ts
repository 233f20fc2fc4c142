/** A trained decoder as the files of a model folder. */
import { toStorage } from '../attention/index.ts';
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import { ModelError } from '../errors.ts';
import { byteTokenizerFiles } from '../text/byte-tokenizer.ts';
import { byteVocabulary } from '../text/byte-vocabulary.ts';
import type { GptConfig } from './gpt.ts';
import { gptAsLlama } from './gpt-llama.ts';
import type { Parameter } from './trainable.ts';

export interface GptCheckpointOptions {
  /** How the weights are stored: f16 and bf16 round to half the bytes. Default 'f32'. */
  readonly storage?: 'f32' | 'f16' | 'bf16';
}

const TYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

/**
 * The files of a folder that loadLanguageModel(), `--model` and other readers of Llamas open, by name, each in pieces: config.json,
 * model.safetensors, and for a model of bytes tokenizer.json and tokenizer_config.json. For a model of another vocabulary put its
 * tokenizer.json beside them. Pieces of float32 weights are views of the parameters.
 * @throws ModelError for a configuration that no Llama has (see gptAsLlama), parameters that are missing, and weights that f16 cannot hold.
 */
export function gptCheckpoint(
  gpt: GptConfig,
  parameters: readonly Parameter[],
  { storage = 'f32' }: GptCheckpointOptions = {},
): ReadonlyMap<string, Iterable<Uint8Array>> {
  const { config, tensors } = gptAsLlama(gpt, parameters);
  const stored = [...tensors].map(([name, { shape, data }]) => {
    if (storage === 'f32') return { name, shape, data };
    if (storage === 'f16' && data.some((value) => Math.abs(value) >= F16_END)) {
      throw new ModelError(`gptCheckpoint: ${name} has weights that f16 cannot hold; use bf16 or f32`);
    }
    return { name, shape, type: TYPES[storage], data: toStorage(data, storage) };
  });
  const dtype = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' }[storage];
  const files = new Map<string, Iterable<Uint8Array>>([
    ['config.json', jsonBytes({ ...config, dtype })],
    ['model.safetensors', writeSafetensors(stored, { format: 'pt' })],
  ]);
  if (gpt.vocabularySize === byteVocabulary.size) {
    for (const [name, content] of Object.entries(byteTokenizerFiles())) files.set(name, jsonBytes(content));
  }
  return files;
}

/** What is at least this becomes infinite in f16. */
const F16_END = 65_520;

function jsonBytes(content: object): Uint8Array[] {
  return [new TextEncoder().encode(`${JSON.stringify(content, null, 2)}\n`)];
}

import { describe, expect, it } from 'vitest';
import { ModelError } from '../errors.ts';
import { llamaConfigFromGguf, llamaConfigFromJson, rotaryFrequencies } from './llama-config.ts';

const llama = {
  model_type: 'llama',
  vocab_size: 80,
  hidden_size: 48,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
};

const gguf = (changes: Record<string, string | number> = {}) =>
  new Map<string, string | number>(
    Object.entries({
      'general.architecture': 'llama',
      'llama.block_count': 2,
      'llama.context_length': 256,
      'llama.embedding_length': 48,
      'llama.feed_forward_length': 96,
      'llama.attention.head_count': 4,
      'llama.attention.head_count_kv': 2,
      'llama.attention.layer_norm_rms_epsilon': 1e-5,
      'llama.vocab_size': 80,
      ...changes,
    }),
  );

describe('llamaConfigFromJson', () => {
  it('reads old and new forms of config.json', () => {
    const config = llamaConfigFromJson(llama);
    expect(config).toMatchObject({ heads: 4, keyValueHeads: 2, headWidth: 12, rotaryScaling: { type: 'default' } });
    const renewed = { ...llama, rope_theta: undefined, rope_parameters: { rope_theta: 500, rope_type: 'default' } };
    expect(llamaConfigFromJson(renewed).rotaryBase).toBe(500);
    expect(llamaConfigFromJson({ ...llama, rope_scaling: { type: 'linear', factor: 4 } }).rotaryScaling).toEqual({
      type: 'linear',
      factor: 4,
    });
    expect(llamaConfigFromJson({ ...llama, head_dim: 16 }).headWidth).toBe(16);
  });

  it('takes the window of a Mistral, and of no other', () => {
    expect(llamaConfigFromJson({ ...llama, model_type: 'mistral', sliding_window: 24 }).slidingWindow).toBe(24);
    expect(
      llamaConfigFromJson({ ...llama, model_type: 'mistral', sliding_window: null }).slidingWindow,
    ).toBeUndefined();
    expect(llamaConfigFromJson({ ...llama, sliding_window: 24 }).slidingWindow).toBeUndefined();
  });

  it.each<[object | null, string]>([
    [{ ...llama, model_type: 'gemma2' }, 'model_type is "gemma2"; Farfield implements llama, mistral'],
    [null, 'model_type is undefined'],
    [{ ...llama, hidden_size: undefined }, 'hidden_size is missing'],
    [{ ...llama, hidden_size: 48.5 }, 'hidden_size is 48.5; it must be an integer'],
    [{ ...llama, num_hidden_layers: 0 }, 'num_hidden_layers is 0; it must be at least 1'],
    [{ ...llama, rms_norm_eps: -1 }, 'rms_norm_eps is -1'],
    [{ ...llama, hidden_act: 'gelu' }, 'hidden_act is "gelu"'],
    [{ ...llama, num_key_value_heads: 3 }, '3 key/value heads do not divide 4 heads'],
    [{ ...llama, farfield_matches: [4, 4] }, 'the sizes must ascend, as in [4, 8, 16]'],
    [{ ...llama, farfield_matches: [0] }, 'farfield_matches.0 is 0; it must be at least 1'],
    [{ ...llama, head_dim: 13 }, 'heads are 13 wide'],
    [{ ...llama, head_dim: 512 }, 'heads are 512 wide'],
    [
      { ...llama, rope_scaling: { rope_type: 'yarn', factor: 2 } },
      'type "yarn"; Farfield knows default, linear, llama3',
    ],
    [{ ...llama, rope_scaling: { rope_type: 'linear' } }, 'type "linear" needs factor'],
  ])('refuses %#', (json, message) => {
    expect(() => llamaConfigFromJson(json, 'x')).toThrow(ModelError);
    expect(() => llamaConfigFromJson(json, 'x')).toThrow(message);
  });
});

describe('llamaConfigFromGguf', () => {
  it('says the same as config.json', () => {
    const { tiedEmbeddings, ...fromJson } = llamaConfigFromJson(llama);
    expect(tiedEmbeddings).toBe(false);
    expect(llamaConfigFromGguf(gguf())).toEqual(fromJson);
  });

  it.each<[Record<string, string | number>, string]>([
    [{ 'general.architecture': 'qwen2' }, 'general.architecture is "qwen2"'],
    [{ 'llama.expert_count': 8 }, 'mixture of experts'],
    [{ 'llama.block_count': 0 }, 'llama.block_count is 0'],
    [{ 'llama.block_count': 'x' }, 'llama.block_count is x'],
    [{ 'llama.rope.dimension_count': 6 }, 'llama.rope.dimension_count is 6'],
    [{ 'llama.rope.scaling.type': 'yarn' }, 'llama.rope.scaling.type is "yarn"'],
  ])('refuses %j', (changes, message) => {
    expect(() => llamaConfigFromGguf(gguf(changes))).toThrow(ModelError);
    expect(() => llamaConfigFromGguf(gguf(changes))).toThrow(message);
  });
});

describe('rotaryFrequencies', () => {
  const config = { ...llamaConfigFromJson({ ...llama, head_dim: 8, rope_theta: 10_000 }) };

  it('are powers of the base', () => {
    const got = rotaryFrequencies(config);
    for (const [i, want] of [1, 0.1, 0.01, 0.001].entries()) expect(got[i]).toBeCloseTo(want, 15);
    expect([...rotaryFrequencies({ ...config, rotaryScaling: { type: 'linear', factor: 4 } })]).toEqual(
      [...got].map((frequency) => frequency / 4),
    );
    expect(rotaryFrequencies(config, [1, 1, 2, 8])[3]).toBeCloseTo(0.000125, 15);
  });

  it('keep fast angles, divide slow ones and blend between, as Llama 3.1 does', () => {
    const scaled = rotaryFrequencies({
      ...config,
      rotaryScaling: { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 128 },
    });
    // Wave lengths 2 pi / f: 6.3 (below 128 / 4), 62.8 (between), 628 and 6283 (above 128 / 1).
    const smooth = (128 / (20 * Math.PI) - 1) / 3;
    const want = [1, (1 - smooth) * (0.1 / 8) + smooth * 0.1, 0.01 / 8, 0.001 / 8];
    for (const [i, frequency] of want.entries()) expect(scaled[i]).toBeCloseTo(frequency, 15);
  });
});

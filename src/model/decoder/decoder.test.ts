import { describe, expect, it } from 'vitest';
import { ModelError } from '../../errors.ts';
import { causal, window } from '../../pattern/index.ts';
import { DECODERS, findDecoder } from './architectures.ts';
import { rotaryAngles } from './rotary-parameters.ts';

const GEMMA = {
  model_type: 'gemma3_text',
  vocab_size: 40,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 7,
  num_attention_heads: 2,
  head_dim: 8,
  max_position_embeddings: 64,
  sliding_window: 4,
};

describe('the configuration of a decoder', () => {
  it('says which layers slide, and how each kind turns, as published files say it', () => {
    const file = {
      ...GEMMA,
      rope_theta: 1e6,
      rope_local_base_freq: 1e4,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    };
    const model = findDecoder(file)?.read(file, 'config.json');
    const near = window({ left: 3 });
    expect(model?.patterns).toEqual([near, near, near, near, near, causal(), near]);
    expect([...(model?.angles.sliding_attention?.frequencies ?? [])]).toEqual([0, 1, 2, 3].map((i) => 1e4 ** (-i / 4)));
    expect([...(model?.angles.full_attention?.frequencies ?? [])]).toEqual(
      [0, 1, 2, 3].map((i) => 1e6 ** (-i / 4) / 8),
    );
  });

  it('gives the same from rope_parameters and layer_types', () => {
    const file = {
      ...GEMMA,
      layer_types: Array(7).fill('full_attention'),
      rope_parameters: {
        full_attention: { rope_theta: 1e6, rope_type: 'linear', factor: 8 },
        sliding_attention: { rope_theta: 1e4 },
      },
    };
    const model = findDecoder(file)?.read(file, 'config.json');
    expect(model?.patterns).toEqual(Array(7).fill(causal()));
    expect(model?.angles.full_attention?.frequencies[1]).toBe(1e6 ** -0.25 / 8);
    expect(model?.angles.sliding_attention?.frequencies[1]).toBe(1e4 ** -0.25);
  });

  it.each([
    [{ sliding_window: undefined }, 'sliding_window is missing, and layers slide'],
    [{ head_dim: 7 }, 'heads are 7 wide'],
    [{ num_key_value_heads: 3 }, '3 key/value heads do not divide 2 heads'],
    [{ layer_types: ['full_attention'] }, 'layer_types has 1 element; num_hidden_layers is 7'],
    [{ hidden_activation: 'mish' }, 'hidden_activation is "mish"'],
    [{ rope_scaling: { rope_type: 'dynamic', factor: 2 } }, 'of type "dynamic"; Farfield knows default, linear, yarn'],
    [{ rope_scaling: { rope_type: 'yarn', factor: 2 } }, 'needs original_max_position_embeddings'],
    [{ vocab_size: 'many' }, 'vocab_size is "many"; it must be a number'],
  ])('refuses %j', (change, message) => {
    const read = () => DECODERS.gemma3_text?.read({ ...GEMMA, ...change }, 'config.json');
    expect(read).toThrow(ModelError);
    expect(read).toThrow(message);
  });
});

describe('YaRN', () => {
  it('keeps pairs that turn often over the context, divides those that hardly turn, and scales by 0.1 ln(factor) + 1', () => {
    const [width, context, factor, base] = [64, 4096, 32, 150_000];
    const rope = {
      rope_type: 'yarn',
      factor,
      original_max_position_embeddings: context,
      rope_theta: base,
      truncate: false,
    };
    const { frequencies, scale } = rotaryAngles(rope, width, 1, 'config.json');
    expect(scale).toBeCloseTo(0.1 * Math.log(32) + 1, 12);
    let between = 0;
    for (const [i, frequency] of frequencies.entries()) {
      const plain = base ** (-2 * (i / width));
      const turns = (context * plain) / (2 * Math.PI);
      if (turns >= 32) expect(frequency / plain).toBeCloseTo(1, 12);
      else if (turns <= 1) expect((frequency * factor) / plain).toBeCloseTo(1, 12);
      else {
        between++;
        // Linear in the pair's number, which is linear in the logarithm of its turns.
        const kept = Math.log(turns) / Math.log(32);
        expect(frequency / plain).toBeCloseTo(kept + (1 - kept) / factor, 10);
      }
    }
    expect(between).toBeGreaterThan(5);
  });
});

/** Small encoder-decoders of random weights, for tests. */
import { RandomTensors } from '../encoder/random.ts';

/** Tokens of the small models. */
export const VOCABULARY = 60;

const BART = {
  vocab_size: VOCABULARY,
  d_model: 16,
  encoder_layers: 2,
  decoder_layers: 2,
  encoder_attention_heads: 2,
  decoder_attention_heads: 2,
  encoder_ffn_dim: 24,
  decoder_ffn_dim: 24,
};

export const TINY_LED = {
  ...BART,
  model_type: 'led',
  attention_window: 8,
  max_encoder_position_embeddings: 900,
  max_decoder_position_embeddings: 700,
};

export const TINY_PEGASUS = {
  ...BART,
  model_type: 'bigbird_pegasus',
  block_size: 4,
  num_random_blocks: 2,
  max_position_embeddings: 700,
};

/** Weights so large that attention is peaked. */
export class LargeTensors extends RandomTensors {
  override ask(name: string, shape: readonly number[]) {
    const asked = super.ask(name, shape);
    if (shape.length === 1 && name.endsWith('.weight')) return asked;
    return { ...asked, load: async () => (await asked.load()).map((value) => 12 * value) };
  }
}

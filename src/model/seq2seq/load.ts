import type { LoadEncoderOptions } from '../encoder/load.ts';
import type { Seq2Seq } from './seq2seq.ts';

export type LoadSeq2SeqOptions = Pick<
  LoadEncoderOptions,
  'tokenizer' | 'device' | 'backend' | 'threads' | 'hub' | 'onProgress' | 'signal'
>;

/**
 * Opens an encoder-decoder (see SEQ2SEQ in architectures.ts): a .safetensors file or an index of shards with config.json beside it, or a
 * folder with these. Needs Node. The caller ends it with dispose().
 * @throws as loadEncoder() does.
 */
export async function loadSeq2Seq(path: string, options: LoadSeq2SeqOptions = {}): Promise<Seq2Seq> {
  const { loadSeq2SeqFromDisk } = await import('./load-node.ts');
  return loadSeq2SeqFromDisk(path, options);
}

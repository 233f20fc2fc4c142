/** Opens an encoder-decoder by a path on disk, in Node. */
import { openEncoderFolder } from '../encoder/load-node.ts';
import { EncoderTensors } from '../encoder/tensors.ts';
import { generationIn } from '../generation-node.ts';
import { findSeq2Seq } from './architectures.ts';
import type { LoadSeq2SeqOptions } from './load.ts';
import { Seq2Seq } from './seq2seq.ts';

export function loadSeq2SeqFromDisk(path: string, options: LoadSeq2SeqOptions): Promise<Seq2Seq> {
  return openEncoderFolder(path, options, async ({ checkpoint, config, folder, source, start }) => {
    const { prefix, read } = findSeq2Seq(config, source);
    const tensors = new EncoderTensors({ checkpoint, source: path, prefix, headNames: [] });
    const model = read(config, { source, tensors });
    const generation = await generationIn(folder, { json: config, source });
    return Seq2Seq.create({ model, tensors, generation, ...(await start(model.encoder.vocabularySize)) });
  });
}

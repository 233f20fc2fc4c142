/** Opens a model with a head by a path on disk, in Node. */

import type { LoadEncoderOptions } from './encoder/load.ts';
import { openEncoder, openEncoderFolder } from './encoder/load-node.ts';
import type { HeadModel } from './head-model.ts';
import { SEQ2SEQ } from './seq2seq/architectures.ts';
import { openReader } from './seq2seq/load-node.ts';

export function loadHeadModelFromDisk(path: string, options: LoadEncoderOptions): Promise<HeadModel> {
  return openEncoderFolder<HeadModel>(path, options, (opened) => {
    const { model_type: type } = opened.config;
    const isSeq2Seq = typeof type === 'string' && Object.hasOwn(SEQ2SEQ, type);
    return isSeq2Seq ? openReader(path, opened, options) : openEncoder(path, opened, options);
  });
}

/** Models that say something of a text: of its class, of where an answer stands. */
import type { Encoder, EncoderOutput, EncoderRunOptions } from './encoder/encoder.ts';
import type { LoadEncoderOptions } from './encoder/load.ts';

/** An Encoder, or a Seq2SeqReader. Ends with dispose(). */
export interface HeadModel
  extends Pick<Encoder, 'task' | 'config' | 'maxTokens' | 'tokenKinds' | 'hasGlobals' | 'tokenizer' | 'dispose'>,
    AsyncDisposable {
  run(options: HeadRunOptions): Promise<HeadOutput[]>;
}

/** What a head is asked: sequences without `headPlaces` and the rest that encoders have of their own. */
export interface HeadRunOptions
  extends Pick<
    EncoderRunOptions,
    'inputIds' | 'attentionMask' | 'globalAttentionMask' | 'tokenTypes' | 'rowsTogether' | 'onProgress' | 'signal'
  > {
  readonly outputs: readonly ['head'];
}

export type HeadOutput = Pick<EncoderOutput, 'logits' | 'startLogits' | 'endLogits'>;

/**
 * Opens an encoder, or an encoder-decoder whose head does not write (LEDForSequenceClassification and the like), by what config.json
 * says. Needs Node. The caller ends it with dispose().
 * @throws as loadEncoder() does; ModelError for a pattern, repeated positions or streamed weights of an encoder-decoder, which has none of them.
 */
export async function loadHeadModel(path: string, options: LoadEncoderOptions = {}): Promise<HeadModel> {
  const { loadHeadModelFromDisk } = await import('./head-model-node.ts');
  return loadHeadModelFromDisk(path, options);
}

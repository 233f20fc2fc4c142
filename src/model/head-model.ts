/** Models that say something of a text: of its class, of where an answer stands. */
import type { Tokenizer } from '../text/index.ts';
import type { Task } from './encoder/architecture.ts';
import type { EncoderOutput, EncoderRunOptions } from './encoder/encoder.ts';
import type { LoadEncoderOptions } from './encoder/load.ts';

/** An Encoder, or a Seq2SeqReader. Ends with dispose(). */
export interface HeadModel extends AsyncDisposable {
  /** Which head there is. */
  readonly task: Task;
  /** config.json, parsed: names of labels and the like. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokenizer: Tokenizer | undefined;
  /** Tokens of the longest sequence; Infinity where positions have no end. */
  readonly maxTokens: number;
  /** Kinds of tokens (segments) that there are. */
  readonly tokenKinds: number;
  /** Whether tokens can have global attention. */
  readonly hasGlobals: boolean;
  run(options: HeadRunOptions): Promise<HeadOutput[]>;
  dispose(): Promise<void>;
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

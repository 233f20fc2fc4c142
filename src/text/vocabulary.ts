/** Whether a tokenizer belongs to a model. */
import { TextError } from '../errors.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * Throws TextError where the tokenizer has ids that the embedding [rows, D] has no row for. Fewer ids than rows are
 * fine: embeddings are often padded to a round number.
 */
export function checkVocabulary(tokenizer: Tokenizer, embeddingRows: number): void {
  if (tokenizer.vocabularySize > embeddingRows) {
    throw new TextError(
      `the tokenizer has ids up to ${tokenizer.vocabularySize - 1}, but the model's embedding has ${embeddingRows} rows: they do not belong together`,
    );
  }
}

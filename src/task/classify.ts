/** Texts and their classes. */

import type { HeadModel } from '../model/index.ts';
import { labelsOf, softmax } from './labels.ts';
import type { EncoderTaskOptions } from './model-input.ts';
import { checkEncoder, runOptions } from './model-input.ts';

/** `encoder`: one with the head of classes, or an encoder-decoder that has one (Seq2SeqReader). */
export interface ClassifyOptions extends EncoderTaskOptions<HeadModel> {
  /** Each is read in one pass; a text with more tokens than the encoder has positions is refused. They run packed. */
  readonly texts: readonly string[];
}

export interface ClassScore {
  readonly label: string;
  /** A probability; of a regression the model's number itself. */
  readonly score: number;
}

export interface Classification {
  /** From the highest score to the lowest. */
  readonly classes: readonly ClassScore[];
  /** Tokens of the text, with those that the tokenizer puts around it. */
  readonly tokens: number;
}

/**
 * Classifies texts with a model for sequences. By `problem_type` of config.json: of single_label_classification the scores are a softmax;
 * of multi_label_classification each is a sigmoid; of regression they are the logits. Where it is not given, one class has a sigmoid and
 * several a softmax, as in transformers' pipeline.
 * @throws ModelError for a model with another head, ArgumentError where a text is too long, TextError without a tokenizer.
 */
export async function classify(options: ClassifyOptions): Promise<Classification[]> {
  const { encoder, texts, signal } = options;
  const tokenizer = checkEncoder('classify', encoder, 'sequenceClassification');
  const inputIds: Int32Array[] = [];
  for (const text of texts) inputIds.push(await tokenizer.encodeInPieces(text, signal ? { signal } : {}));
  const results = await encoder.run({
    inputIds,
    // As published, of Longformer (section 4.3) and LED: the first token.
    ...(encoder.hasGlobals ? { globalAttentionMask: inputIds.map((ids) => ids.map((_, i) => (i === 0 ? 1 : 0))) } : {}),
    outputs: ['head'],
    ...runOptions(options),
  });
  return results.map(({ logits }, i) => {
    const scores = classScores(logits?.data ?? new Float32Array(), encoder.config.problem_type);
    const labels = labelsOf(encoder, scores.length);
    const classes = Array.from(scores, (score, j) => ({ label: labels[j] ?? '', score }));
    return { classes: classes.sort((a, b) => b.score - a.score), tokens: inputIds[i]?.length ?? 0 };
  });
}

function classScores(logits: Float32Array, problem: unknown): Float64Array {
  if (problem === 'regression') return Float64Array.from(logits);
  const isMultiLabel = problem === 'multi_label_classification' || (typeof problem !== 'string' && logits.length === 1);
  return isMultiLabel ? Float64Array.from(logits, (x) => 1 / (1 + Math.exp(-x))) : softmax(logits);
}

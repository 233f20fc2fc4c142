/**
 * RoBERTa (Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach"): BERT with positions that start behind the padding
 * token's, so a model of 512 tokens has 514 positions.
 */
import type { EncoderArchitecture, Head, Task } from './architecture.ts';
import { denseBert } from './bert.ts';
import {
  firstTokenClassifier,
  maskedLmHead,
  poolerIfThere,
  questionAnswering,
  readBertConfig,
  tokenClassifier,
} from './bert-family.ts';

export const roberta: EncoderArchitecture = {
  className: 'Roberta',
  prefix: 'roberta',
  headNames: ['pooler.', 'lm_head.', 'classifier.', 'qa_outputs.'],
  tasks: ['base', 'maskedLm', 'sequenceClassification', 'tokenClassification', 'questionAnswering'],
  read(json, context) {
    const config = readBertConfig(json, context.source);
    const heads: Partial<Record<Task, Record<string, Head>>> = {
      base: poolerIfThere(context.tensors, 'pooler.dense'),
      maskedLm: { head: maskedLmHead(config, 'lm_head') },
      sequenceClassification: { head: firstTokenClassifier('tanh') },
      tokenClassification: { head: tokenClassifier() },
      questionAnswering: { head: questionAnswering() },
    };
    const { padToken, positions } = config;
    const rule = { first: padToken + 1, skipped: padToken, size: positions, beyond: context.positions };
    return denseBert(config, context, rule, heads[context.task] ?? {});
  },
};

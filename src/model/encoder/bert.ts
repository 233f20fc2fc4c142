/** BERT: every token sees every token of its sequence. See bert-family.ts for the layers. */
import { dense } from '../../pattern/index.ts';
import type { EncoderArchitecture, EncoderModel, Head, ReadContext, Task } from './architecture.ts';
import {
  type BertConfig,
  bertEmbeddings,
  bertFeeds,
  bertLayer,
  bertOnnxInputs,
  labels,
  maskedLmHead,
  maxTokens,
  type PositionRule,
  pool,
  poolerIfThere,
  questionAnswering,
  readBertConfig,
  tokenClassifier,
} from './bert-family.ts';
import { withinSequences } from './layout.ts';

export const bert: EncoderArchitecture = {
  className: 'Bert',
  prefix: 'bert',
  headNames: ['pooler.', 'cls.predictions.', 'cls.seq_relationship.', 'classifier.', 'qa_outputs.'],
  tasks: ['base', 'maskedLm', 'sequenceClassification', 'tokenClassification', 'questionAnswering'],
  read(json, context) {
    const config = readBertConfig(json, context.source);
    const heads: Partial<Record<Task, Record<string, Head>>> = {
      base: poolerIfThere(context.tensors, 'pooler.dense'),
      maskedLm: { head: maskedLmHead(config, 'cls.predictions') },
      sequenceClassification: { head: pooledClassifier() },
      tokenClassification: { head: tokenClassifier() },
      questionAnswering: { head: questionAnswering() },
    };
    const rule = { first: 0, size: config.positions, beyond: context.positions };
    return denseBert(config, context, rule, heads[context.task] ?? {});
  },
};

/** The model of BERT and RoBERTa, which differ in the position of the first token and in their heads. */
export function denseBert(
  config: BertConfig,
  { pattern = dense() }: ReadContext,
  rule: PositionRule,
  heads: Record<string, Head>,
): EncoderModel {
  return {
    hiddenSize: config.hiddenSize,
    vocabularySize: config.vocabularySize,
    tokenKinds: config.tokenKinds,
    maxTokens: maxTokens(rule),
    hasGlobals: false,
    layers(b) {
      let x = bertEmbeddings(b, config); // [rows, hidden]
      for (let i = 0; i < config.layers; i++) {
        x = bertLayer(b, config, x, `encoder.layer.${i}`, (x, name) =>
          b.selfAttention({ x, heads: config.heads, pattern, name }, (layout) => [
            { pattern: withinSequences(pattern, layout), weight: 1 },
          ]),
        );
      }
      return x;
    },
    heads,
    feeds: (batch) => bertFeeds(batch, rule),
    onnx: { inputs: (tokens) => bertOnnxInputs(tokens, rule, config) },
  };
}

/** classifier(pooler(first token)). */
function pooledClassifier(): Head {
  return {
    rows: 'first',
    build(b, hidden) {
      const pooled = pool(b, hidden, 'pooler.dense');
      return { logits: b.linear(pooled, 'classifier', labels(b, 'classifier')) };
    },
  };
}

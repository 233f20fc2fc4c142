/**
 * Encoders to train: the layers of transformer.ts, seeing both ways under any pattern: Longformer's (a window and global tokens; Beltagy et al., section
 * 3.1), BigBird's (bigBird(); Zaheer et al., section 2), BlockBERT's (blockPermutation() by head; Qiu et al., section 3). They learn masked
 * tokens, or to tell classes of sequences.
 */
import { ModelError } from '../errors.ts';
import { type Graph, GraphBuilder, gemm, ROWS } from '../graph/index.ts';
import { type GptConfig, type GptOptions, gptGraph, gptSpecifications } from './gpt.ts';
import { RowModel, type RowModelOptions } from './row-model.ts';
import {
  frequenciesOf,
  type InitialWeights,
  initialParameters,
  linearSpecification,
  type Specification,
  transformerLayers,
} from './transformer.ts';

/** A masked language model (Devlin et al., "BERT", section 3.1, task 1), its head tied to the embedding. */
export async function createMaskedModel(config: GptConfig, options: GptOptions = {}): Promise<RowModel> {
  return RowModel.create(
    {
      graph: gptGraph(config, { isCausal: false }),
      parameters: initialParameters(gptSpecifications(config), options),
      input: { kind: 'tokens', vocabularySize: config.vocabularySize, context: config.context },
      lookups: lookupsOf(config),
      frequencies: frequenciesOf(config),
      head: { kind: 'tokens' },
    },
    options,
  );
}

export interface ClassifierConfig extends GptConfig {
  readonly classes: number;
  /** From the mean of a sequence's rows (default) or its first row, a token for classification. */
  readonly pooling?: 'mean' | 'first';
}

/** Tells the class of each sequence; reads `labels` of a batch, neither targets nor weights. */
export async function createClassifier(
  config: ClassifierConfig,
  options: RowModelOptions & InitialWeights = {},
): Promise<RowModel> {
  return RowModel.create(
    {
      graph: classifierGraph(config),
      parameters: initialParameters(classifierSpecifications(config), options),
      input: { kind: 'tokens', vocabularySize: config.vocabularySize, context: config.context },
      lookups: lookupsOf(config),
      frequencies: frequenciesOf(config),
      head: { kind: 'classes', classes: config.classes, pooling: config.pooling ?? 'mean' },
    },
    options,
  );
}

export function classifierSpecifications(config: ClassifierConfig): Specification[] {
  return [...gptSpecifications(config), linearSpecification('classes', config.classes, config.hiddenSize)];
}

/** `hidden` [rows, hidden] to `logits` [rows, classes]; pooling, which is linear too, comes after. */
export function classifierGraph(config: ClassifierConfig): Graph {
  const { hiddenSize, classes } = config;
  if (!(Number.isInteger(classes) && classes > 1))
    throw new ModelError(`classes must be an integer above 1, got ${classes}`);
  const graph = new GraphBuilder('classifier');
  const hidden = graph.input('hidden', 'float32', [ROWS, hiddenSize]);
  const last = transformerLayers(graph, hidden, config, { isCausal: false });
  const weight = graph.input('classes', 'float32', [classes, hiddenSize]);
  graph.output(gemm(graph, last, weight, undefined, { transB: true }), 'logits');
  return graph.build();
}

function lookupsOf({ positions }: GptConfig): readonly { table: string; by: 'inputs' | 'positions' }[] {
  const tokens = { table: 'embedding', by: 'inputs' } as const;
  return positions === 'learned' ? [tokens, { table: 'positions', by: 'positions' }] : [tokens];
}

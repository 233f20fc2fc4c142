/**
 * A decoder to train (Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3): the layers of transformer.ts, cut to
 * the past, with any pattern for every layer and head, and a head that shares the embedding. With the patterns of Sparse
 * Transformers (strided(), fixed()) or axial() on a grid of pixels it is theirs (Child et al.; Ho et al., "Axial Attention").
 */
import { ModelError } from '../errors.ts';
import { type Graph, GraphBuilder, gatherElements, gemm, logSoftmax, neg, ROWS } from '../graph/index.ts';
import { checkMatchSizes } from './latest-matches.ts';
import { RowModel, type RowModelOptions } from './row-model.ts';
import {
  frequenciesOf,
  type InitialWeights,
  initialParameters,
  layerSpecifications,
  positionSpecifications,
  type Specification,
  type TransformerConfig,
  transformerLayers,
} from './transformer.ts';

export interface GptConfig extends TransformerConfig {
  readonly vocabularySize: number;
  /**
   * Sizes n, ascending. For each, what followed when the last n tokens stood in the sequence before is added to a token's embedding, from
   * a table of its own (see latest-matches.ts): so the model can copy from any distance, whatever its pattern. Default none.
   */
  readonly matches?: readonly number[];
}

export interface GptOptions extends RowModelOptions, InitialWeights {}

/** A model that trains on next tokens; see Trainable. Ends with dispose(). */
export async function createGpt(config: GptConfig, options: GptOptions = {}): Promise<RowModel> {
  return RowModel.create(
    {
      graph: gptGraph(config),
      parameters: initialParameters(gptSpecifications(config), options),
      input: { kind: 'tokens', vocabularySize: config.vocabularySize, context: config.context },
      lookups: [
        { table: 'embedding', by: 'inputs' },
        ...(config.matches === undefined ? [] : [{ table: 'matches', by: 'matches', sizes: config.matches } as const]),
        ...(config.positions === 'learned' ? [{ table: 'positions', by: 'positions' } as const] : []),
      ],
      frequencies: frequenciesOf(config),
      head: { kind: 'tokens' },
    },
    options,
  );
}

/** The parameters and how they begin. */
export function gptSpecifications(config: GptConfig): Specification[] {
  return [
    { name: 'embedding', shape: [config.vocabularySize, config.hiddenSize], start: 0.02 },
    ...matchSpecifications(config),
    ...positionSpecifications(config),
    ...layerSpecifications(config),
  ];
}

/** The table of matches: a row for each size and token, of zeros. */
function matchSpecifications({ matches, vocabularySize, hiddenSize }: GptConfig): Specification[] {
  if (matches === undefined) return [];
  checkMatchSizes(matches);
  return [{ name: 'matches', shape: [matches.length * vocabularySize, hiddenSize], start: 'zeros', isOptional: true }];
}

/**
 * `hidden` [rows, hidden] (embeddings, and positions where they are learned), `cos` and `sin` [rows, D/2] where they are rotary, and
 * `targets` [rows, 1] to `losses` [rows, 1], minus the log probability of each target. The parameters are inputs. A masked language
 * model is the same without the cut to the past.
 */
export function gptGraph(config: GptConfig, { isCausal = true } = {}): Graph {
  const { hiddenSize, vocabularySize } = config;
  if (!(Number.isInteger(vocabularySize) && vocabularySize > 0)) {
    throw new ModelError(`vocabularySize must be a positive integer, got ${vocabularySize}`);
  }
  const graph = new GraphBuilder('gpt');
  const hidden = graph.input('hidden', 'float32', [ROWS, hiddenSize]);
  const targets = graph.input('targets', 'int64', [ROWS, 1]);
  const embedding = graph.input('embedding', 'float32', [vocabularySize, hiddenSize]);
  const last = transformerLayers(graph, hidden, config, { isCausal });
  const logits = gemm(graph, last, embedding, undefined, { transB: true, name: 'logits' }); // [rows, vocabulary]
  graph.output(neg(graph, gatherElements(graph, logSoftmax(graph, logits), targets, 1)), 'losses');
  return graph.build();
}

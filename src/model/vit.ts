/**
 * A vision transformer to train (Dosovitskiy et al., "An Image is Worth 16x16 Words", section 3.1): patches of an image, projected, plus learned
 * positions, through the layers of transformer.ts, and classes told from the mean of their rows. Layers see along one axis of the grid of
 * patches after the other (Ho et al., "Axial Attention in Multidimensional Transformers", section 3), a neighbourhood (Hassani et al.,
 * "Neighborhood Attention Transformer", section 3.1), or everything.
 */
import { ModelError } from '../errors.ts';
import { add, type Graph, GraphBuilder, gemm, ROWS } from '../graph/index.ts';
import { axial, dense, neighbourhood, type Pattern } from '../pattern/index.ts';
import { type PatchGrid, patchSizes } from './row-inputs.ts';
import { RowModel, type RowModelOptions } from './row-model.ts';
import {
  type InitialWeights,
  initialParameters,
  layerSpecifications,
  linearSpecification,
  positionSpecifications,
  type Specification,
  type TransformerConfig,
  transformerLayers,
} from './transformer.ts';

export interface VitConfig extends Omit<TransformerConfig, 'context' | 'positions' | 'rotaryBase' | 'patterns'> {
  /** Batches hold the pixels of each image as tokens from 0 to 255, line by line, channels last. */
  readonly image: PatchGrid;
  readonly classes: number;
  /** 'axial': rows and columns of patches in alternate layers. A number: the radius of a neighbourhood. Default 'dense'. */
  readonly attention?: 'axial' | 'dense' | number;
}

/** Tells the class of each image; reads `labels` of a batch, neither targets nor weights. */
export async function createVit(config: VitConfig, options: RowModelOptions & InitialWeights = {}): Promise<RowModel> {
  return RowModel.create(
    {
      graph: vitGraph(config),
      parameters: initialParameters(vitSpecifications(config), options),
      input: { kind: 'patches', grid: config.image },
      lookups: [{ table: 'positions', by: 'positions' }],
      head: { kind: 'classes', classes: config.classes, pooling: 'mean' },
    },
    options,
  );
}

export function vitSpecifications(config: VitConfig): Specification[] {
  const layers = layersOf(config);
  return [
    linearSpecification('patches', config.hiddenSize, patchSizes(config.image).numbers),
    ...positionSpecifications(layers),
    ...layerSpecifications(layers),
    linearSpecification('classes', config.classes, config.hiddenSize),
  ];
}

/** `hidden` [rows, hidden], the positions, and `pixels` [rows, numbers of a patch] to `logits` [rows, classes]. */
export function vitGraph(config: VitConfig): Graph {
  const { hiddenSize, classes, image } = config;
  if (!(Number.isInteger(classes) && classes > 1))
    throw new ModelError(`classes must be an integer above 1, got ${classes}`);
  const { numbers } = patchSizes(image);
  const graph = new GraphBuilder('vit');
  const positions = graph.input('hidden', 'float32', [ROWS, hiddenSize]);
  const pixels = graph.input('pixels', 'float32', [ROWS, numbers]);
  const projection = graph.input('patches', 'float32', [hiddenSize, numbers]);
  const projected = gemm(graph, pixels, projection, undefined, { transB: true });
  const last = transformerLayers(graph, add(graph, projected, positions), layersOf(config), { isCausal: false });
  const weight = graph.input('classes', 'float32', [classes, hiddenSize]);
  graph.output(gemm(graph, last, weight, undefined, { transB: true }), 'logits');
  return graph.build();
}

function layersOf({ image, attention = 'dense', ...rest }: VitConfig): TransformerConfig {
  const { grid, count } = patchSizes(image);
  const patterns: readonly Pattern[] =
    attention === 'axial'
      ? [axial({ grid, axes: [1] }), axial({ grid, axes: [0] })]
      : attention === 'dense'
        ? [dense()]
        : [neighbourhood({ grid, radius: attention })];
  return { ...rest, context: count, positions: 'learned', patterns };
}

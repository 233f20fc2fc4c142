/** A dense model as a graph in which attention can be replaced: an ONNX file, or a checkpoint. */
import { dirname } from 'node:path';
import type { HubOptions } from '../../checkpoint/index.ts';
import { openCheckpoint } from '../../checkpoint/node.ts';
import { ModelError, TextError } from '../../errors.ts';
import {
  type ExtendedPositions,
  extendPositions,
  type Graph,
  type RewriteOptions,
  type Rewritten,
  rewriteAttention,
  sparsifyGraph,
} from '../../graph/index.ts';
import { openForExport } from '../../model/export-node.ts';
import { openOnnx } from '../../model/open-onnx-node.ts';
import { type Tokenizer, tokenizerFromGguf } from '../../text/index.ts';
import { loadTokenizer } from '../../text/node.ts';

export interface OpenedDense {
  readonly graph: Graph;
  /** Replaces the attention of the graph. */
  readonly sparsify: (options: RewriteOptions) => Rewritten;
  /** What was done about positions. */
  readonly extended: readonly ExtendedPositions[];
  /** The tokenizer that the model comes with. */
  readonly loadTokenizer: () => Promise<Tokenizer>;
  readonly close: () => Promise<void>;
}

export interface OpenDenseOptions {
  /** Tokens of the longest text, where the model has learned fewer positions. */
  readonly positions: number | undefined;
  readonly hub: HubOptions;
  readonly signal: AbortSignal;
}

/** @throws as openOnnx() and openForExport() do. */
export async function openDense(path: string, { positions, hub, signal }: OpenDenseOptions): Promise<OpenedDense> {
  if (!path.endsWith('.onnx')) {
    const repeats = positions === undefined ? {} : { positions: 'repeat' as const };
    const { parts, close } = await openForExport(path, { ...repeats, hub, signal });
    const [{ graph }, ...others] = parts;
    if (others.length > 0) {
      await close();
      throw new ModelError(`${path}: an encoder-decoder is sparse already; farfield export writes it as it is`);
    }
    const isFile = /\.(safetensors|json|bin|pt|pth)$/.test(path);
    const own = () =>
      path.endsWith('.gguf')
        ? tokenizerOfGguf(path, hub)
        : loadTokenizer(isFile ? dirname(path) : path, { hub, signal });
    return { graph, sparsify: (options) => sparsifyGraph(graph, options), extended: [], loadTokenizer: own, close };
  }
  const { model, close } = await openOnnx(path, signal);
  try {
    const { graph, extended } =
      positions === undefined
        ? { graph: model.graph, extended: [] }
        : await extendPositions(model.graph, model, positions);
    return {
      graph,
      // What is known of masks does not depend on the lengths of tables.
      sparsify: (options) => rewriteAttention({ ...model, graph }, options),
      extended,
      loadTokenizer: () => loadTokenizer(dirname(path), { signal }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A GGUF file is enough by itself. */
async function tokenizerOfGguf(path: string, hub: HubOptions): Promise<Tokenizer> {
  const { checkpoint, metadata } = await openCheckpoint(path, { hub });
  await checkpoint.close();
  if (metadata === undefined) throw new TextError(`${path}: has no tokenizer`);
  return tokenizerFromGguf(metadata, path);
}

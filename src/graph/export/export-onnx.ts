import { ArgumentError } from '../../errors.ts';
import { GraphEdit } from '../graph-edit.ts';
import { isBatchAttention, readBatchAttention } from '../import/batch-attention.ts';
import type { Graph, Initializer } from '../ir.ts';
import { bytesOf, type ExternalPlace, writeOnnx } from '../onnx-writer.ts';
import { isSparseAttention } from '../sparse-attention.ts';
import { ELEMENT_BYTES } from '../tensor-data.ts';
import type { LowerOptions } from './heads-plan.ts';
import { lowerAttention } from './lower-attention.ts';
import { withBatchAxis } from './rows-to-batch.ts';
import { inStandardOperators } from './standard-operators.ts';

export interface ExportOptions extends LowerOptions {
  /**
   * Name of a file beside the model for the weights, which a model of 2 GiB or more needs. Default: weights lie in the model.
   */
  readonly externalData?: string;
  readonly signal?: AbortSignal;
}

/** An exported model. */
export interface ExportedOnnx {
  readonly model: Uint8Array;
  /** The file of weights, where one was asked for. */
  readonly externalData?: {
    readonly name: string;
    readonly bytes: number;
    /** Its content from the start, one weight after the other. */
    readonly content: () => AsyncGenerator<Uint8Array>;
  };
}

/** Weights below this stay in the model: shapes and other small constants. */
const SMALL = 1024;

/** External data is mapped into memory by some runtimes, in pages of this size (ONNX documentation, "External Data"). */
const PAGE = 4096;

/** The opset of graphs that Farfield builds: RotaryEmbedding is a standard operator since 23. */
const OPSET = 23;

/**
 * The graph with every SparseAttention in standard operators (lower-attention.ts) and without operators of ONNX Runtime's own where
 * standard ones do the same; quantized matrices stay com.microsoft.MatMulNBits. Throws PatternError, naming the pattern, where one cannot
 * be expressed.
 */
export function lowerGraph(graph: Graph, options: LowerOptions = {}): Graph {
  const opset = graph.opsets?.get('');
  if (opset !== undefined && opset < 13) {
    throw new ArgumentError(
      `graph ${graph.name}: its operators are of opset ${opset}; 13 or later is needed. Convert it first.`,
    );
  }
  const batched = withBatchAxis(inStandardOperators(graph));
  const edit = new GraphEdit(graph.opsets === undefined ? { ...batched, opsets: new Map([['', OPSET]]) } : batched);
  for (const [index, node] of batched.nodes.filter(isSparseAttention).entries()) {
    if (!isBatchAttention(node)) throw new ArgumentError(`SparseAttention ${node.name} has no batch axis`);
    edit.replacements.set(node, lowerAttention(edit, readBatchAttention(batched, node, index), options));
  }
  return edit.build();
}

/** Writes the lowered graph as a file that stock ONNX runtimes run. Throws as lowerGraph() and writeOnnx() do. */
export async function exportOnnx(graph: Graph, options: ExportOptions = {}): Promise<ExportedOnnx> {
  const lowered = lowerGraph(graph, options);
  const { externalData: location, signal } = options;
  const cancel = signal === undefined ? {} : { signal };
  if (location === undefined) return { model: await writeOnnx(lowered, cancel) };
  const external = new Map<string, ExternalPlace>();
  const placed: { readonly initializer: Initializer; readonly place: ExternalPlace }[] = [];
  let bytes = 0;
  for (const initializer of lowered.initializers) {
    const { type, shape, name } = initializer;
    const length = shape.reduce((product, side) => product * side, ELEMENT_BYTES[type]);
    if (length < SMALL) continue;
    const offset = Math.ceil(bytes / PAGE) * PAGE;
    const place = { location, offset, length };
    external.set(name, place);
    placed.push({ initializer, place });
    bytes = offset + length;
  }
  const content = async function* (): AsyncGenerator<Uint8Array> {
    let written = 0;
    for (const { initializer, place } of placed) {
      signal?.throwIfAborted();
      if (place.offset > written) yield new Uint8Array(place.offset - written);
      yield bytesOf(await initializer.load());
      written = place.offset + place.length;
    }
  };
  return { model: await writeOnnx(lowered, { ...cancel, external }), externalData: { name: location, bytes, content } };
}

import type { Pattern } from '../../pattern/pattern.ts';
import type { GraphEdit } from '../graph-edit.ts';
import type { Graph, Node } from '../ir.ts';
import type { MaskForm } from './mask-terms.ts';
import type { PastLengths } from './past-lengths.ts';
import type { OnnxModel } from './read-onnx.ts';
import type { SymbolicTensor } from './symbolic-tensor.ts';

/** A value that masks scores. */
export interface MaskInput {
  readonly value: string;
  readonly form: MaskForm;
  /** Of a truth: pairs are allowed where it is false. */
  readonly isInverted?: boolean;
}

/** The attention that some nodes of a graph compute, whatever they look like. */
export interface AttentionMatch {
  /** The node that names it: its Softmax, or the attention node itself. */
  readonly node: Node;
  /** The last of its nodes, which is replaced. */
  readonly last: Node;
  /** Values [B, H, N, D], or [B, H, D, M] for keys that are transposed already, or [B, N, H*D] where `heads` says H. */
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly isKeyTransposed: boolean;
  /** Where q, k and v have three axes: their heads, and the key/value heads. */
  readonly heads?: { readonly query: number; readonly keyValue: number };
  readonly scale: number | undefined;
  readonly softcap?: number;
  /** D, where it is known otherwise than from q. */
  readonly headWidth?: number;
  readonly masks: readonly MaskInput[];
  /** Masks of keys [B, M], 0 where a key is not seen. */
  readonly keyMasks?: readonly string[];
  /** A value int32 [B]: how many keys of each entry are real, less `missing`. */
  readonly keyLengths?: { readonly value: string; readonly missing: number };
  /** Where new keys stand, where each entry of a batch has a past of its own length. */
  readonly behind?: PastLengths;
  /** Pairs that are allowed beside the masks, e.g. a window of the node's own. */
  readonly within?: readonly Pattern[];
  /** Makes q, k and v [B, N, H*D] of the node's inputs, where they are not values of the graph yet. */
  readonly prepare?: (edit: GraphEdit, into: Node[]) => PreparedInputs;
  /** The node's own causality. */
  readonly isCausal: boolean;
  /** Keys and values of earlier calls [B, G, P, D], which come first, and the names of all together. */
  readonly past?: { readonly k: string; readonly v: string };
  readonly present?: { readonly k: string | undefined; readonly v: string | undefined };
}

/** Inputs of attention, by names of values. */
export interface PreparedInputs {
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly sinkLogits?: string;
}

/** Why nodes that look like attention were left as they are. */
export interface Unmatched {
  readonly node: string;
  readonly why: string;
}

/** A graph as matchers look at it. */
export class GraphView {
  readonly graph: Graph;
  readonly producers = new Map<string, Node>();
  readonly consumers = new Map<string, Node[]>();
  readonly #tensors: ReadonlyMap<string, SymbolicTensor>;
  readonly #outputs: ReadonlySet<string>;

  constructor({ graph, inference }: Pick<OnnxModel, 'graph' | 'inference'>) {
    this.graph = graph;
    this.#tensors = inference.tensors;
    this.#outputs = new Set(graph.outputs.map((output) => output.name));
    for (const node of graph.nodes) {
      for (const output of node.outputs) this.producers.set(output, node);
      for (const input of [...node.inputs, ...(node.captures ?? [])]) {
        const known = this.consumers.get(input);
        if (known === undefined) this.consumers.set(input, [node]);
        else if (!known.includes(node)) known.push(node);
      }
    }
  }

  tensor(name: string): SymbolicTensor | undefined {
    return this.#tensors.get(name);
  }

  producer(name: string, operator: string): Node | undefined {
    const node = this.producers.get(name);
    return node?.operator === operator && node.domain === '' ? node : undefined;
  }

  /** The nodes that read a value; undefined where it is a result of the graph too. */
  readers(name: string): readonly Node[] | undefined {
    return this.#outputs.has(name) ? undefined : (this.consumers.get(name) ?? []);
  }

  isRead(name: string | undefined): name is string {
    return name !== undefined && name !== '' && (this.#outputs.has(name) || this.consumers.has(name));
  }
}

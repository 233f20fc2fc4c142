import type { Problem } from '../problem.ts';
import { ExpressionGraph, type ScoreParameter } from '../score/index.ts';
import type { Arena } from './arena.ts';
import type { Segment } from './backward.ts';
import type { Heap } from './heap.ts';
import { parametersOf } from './score/compile.ts';

/** Which coordinates of a pair are themselves indices of a parameter: pairs that differ there have different entries. */
interface Owned {
  readonly batch: boolean;
  readonly head: boolean;
  readonly row: boolean;
}

interface Buffer {
  readonly parameter: string;
  readonly address: number;
  readonly length: number;
}

/**
 * The gradients of a modifier's parameters, in float64. Segments of the backward pass add to a buffer each, so that no two write
 * the same number; those that differ in a coordinate that is an index of the parameter can share one. Buffers are summed in the
 * order of the segments, which does not depend on the number of threads.
 */
export class ParameterGradients {
  readonly #parameters: Readonly<Record<string, ScoreParameter>>;
  readonly #names: readonly string[];
  readonly #owned: ReadonlyMap<string, Owned>;
  readonly #sums = new Map<string, Float64Array>();
  #buffers: Buffer[] = [];

  constructor(problem: Problem) {
    const { score } = problem;
    this.#parameters = score?.parameters ?? {};
    this.#names = score ? parametersOf(score.expression) : [];
    const graph = new ExpressionGraph();
    if (score) graph.add(score.expression);
    this.#owned = new Map(
      this.#names.map((name) => [name, ownedBy(graph, name, this.#parameters[name].shape, problem)]),
    );
    for (const name of this.#names) this.#sums.set(name, new Float64Array(this.#parameters[name].data.length));
  }

  /** Room for the segments of one job: for each the address of its list of buffers, 0 where there are no parameters. */
  place(arena: Arena, heap: Heap, segments: readonly Segment[]): number[] {
    const known = new Map<string, number>();
    this.#buffers = [];
    return segments.map(({ batch, group, first }) => {
      if (this.#names.length === 0) return 0;
      const list = this.#names.map((name) => {
        const owned = this.#owned.get(name);
        const key = [name, owned?.batch ? 0 : batch, owned?.head ? 0 : group, owned?.row ? 0 : first].join();
        let address = known.get(key);
        if (address === undefined) {
          const { length } = this.#parameters[name].data;
          address = arena.allocate(8 * length);
          heap.words(address, 2 * length).fill(0);
          known.set(key, address);
          this.#buffers.push({ parameter: name, address, length });
        }
        return address;
      });
      return arena.words(list);
    });
  }

  /** Adds up the buffers of the job that place() made room for. */
  collect(heap: Heap): void {
    for (const { parameter, address, length } of this.#buffers.splice(0)) {
      const sum = this.#sums.get(parameter);
      const buffer = new Float64Array(heap.memory.buffer, address, length);
      if (sum) for (let i = 0; i < length; i++) sum[i] += buffer[i];
    }
  }

  /** The sums in float32, or undefined where there are no parameters. */
  rounded(): Record<string, Float32Array> | undefined {
    if (this.#names.length === 0) return undefined;
    return Object.fromEntries([...this.#sums].map(([name, sum]) => [name, Float32Array.from(sum)]));
  }
}

function ownedBy(graph: ExpressionGraph, name: string, shape: readonly number[], problem: Problem): Owned {
  const { batch, heads, queries, mask } = problem;
  const lookups = graph.nodes.filter(({ parameter }) => parameter === name);
  // The same axis in every look-up: in bias[q, k] + bias[k, q] the pairs (5, 7) and (7, 5) share entries. And one that is long
  // enough: what is clamped shares entries too.
  const has = (kind: string, least: number) =>
    shape.some(
      (size, axis) => size >= least && lookups.every(({ operands }) => graph.nodes[operands[axis]].kind === kind),
    );
  return {
    batch: has('batch', batch),
    head: has('head', heads),
    row: has('row', queries) || (mask.queryOffset >= 0 && has('q', queries + mask.queryOffset)),
  };
}

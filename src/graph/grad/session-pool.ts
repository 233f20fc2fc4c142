import type { CompileOptions, DenseBackend, DenseSession, HostTensor } from '../backend.ts';
import type { Graph, Initializer, Node, Value } from '../ir.ts';
import { dependsOnThreads } from './thread-order.ts';

/** Initializers up to this many elements are compared by content; a larger one belongs to its own session. */
const COMPARED = 4096;

/** A compiled graph whose tensors come and go in the order of its inputs and outputs. */
export interface PooledSession {
  /** Runs it for some rows. An output whose fetch is undefined is not given. */
  run(rows: number, feeds: readonly HostTensor[], fetches: readonly (HostTensor | undefined)[]): Promise<void>;
}

/**
 * Sessions by structure: the layers of a model are the same graph with other weights, and where those are inputs one session
 * serves all of them.
 */
export class SessionPool {
  readonly #backend: DenseBackend;
  readonly #sessions = new Map<string, ThreadedSession>();

  constructor(backend: DenseBackend) {
    this.#backend = backend;
  }

  /** How many sessions there are. */
  get size(): number {
    return this.#sessions.size;
  }

  async compile(graph: Graph, options: CompileOptions = {}): Promise<PooledSession> {
    const plain = renamed(graph);
    const key = await structureOf(plain, this.#sessions.size);
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = new ThreadedSession(this.#backend, plain, await this.#backend.compile(plain, options));
      this.#sessions.set(key, session);
    }
    const [inputs, outputs] = [plain.inputs, plain.outputs].map((values) => values.map((value) => value.name));
    return new Pooled(session, inputs ?? [], outputs ?? []);
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
  }
}

/** A graph, on all threads where their number does not change the sums, else on one. */
class ThreadedSession {
  readonly #backend: DenseBackend;
  readonly #graph: Graph;
  readonly #all: DenseSession;
  #one: Promise<DenseSession> | undefined;
  /** By the number of rows. */
  readonly #needsOne = new Map<number, boolean>();

  constructor(backend: DenseBackend, graph: Graph, all: DenseSession) {
    this.#backend = backend;
    this.#graph = graph;
    this.#all = all;
  }

  async for(rows: number): Promise<DenseSession> {
    const needsOne = this.#needsOne.get(rows) ?? dependsOnThreads(this.#graph, rows, this.#backend.threads);
    this.#needsOne.set(rows, needsOne);
    if (!needsOne) return this.#all;
    this.#one ??= this.#backend.compile(this.#graph, { isSingleThreaded: true });
    return this.#one;
  }

  async release(): Promise<void> {
    await this.#all.release();
    await (await this.#one)?.release();
  }
}

class Pooled implements PooledSession {
  readonly #session: ThreadedSession;
  readonly #inputs: readonly string[];
  readonly #outputs: readonly string[];

  constructor(session: ThreadedSession, inputs: readonly string[], outputs: readonly string[]) {
    this.#session = session;
    this.#inputs = inputs;
    this.#outputs = outputs;
  }

  async run(rows: number, feeds: readonly HostTensor[], fetches: readonly (HostTensor | undefined)[]): Promise<void> {
    const session = await this.#session.for(rows);
    await session.run(named(this.#inputs, feeds), named(this.#outputs, fetches));
  }
}

function named(names: readonly string[], tensors: readonly (HostTensor | undefined)[]): Record<string, HostTensor> {
  return Object.fromEntries(
    tensors.flatMap((tensor, i) => (tensor === undefined ? [] : [[names[i] ?? '', tensor] as const])),
  );
}

/** The graph with names by place: equal for graphs that differ in names alone. */
function renamed(graph: Graph): Graph {
  const names = new Map<string, string>([['', '']]);
  const short = (name: string): string => {
    const known = names.get(name) ?? `v${names.size}`;
    names.set(name, known);
    return known;
  };
  const value = (each: Value): Value => ({ ...each, name: short(each.name) });
  const inputs = graph.inputs.map(value);
  const initializers = graph.initializers.map((each): Initializer => ({ ...each, name: short(each.name) }));
  const nodes = graph.nodes.map(
    (node, i): Node => ({
      ...node,
      name: `n${i}`,
      inputs: node.inputs.map(short),
      outputs: node.outputs.map(short),
    }),
  );
  const outputs = graph.outputs.map(value);
  const values = new Map([...graph.values.values()].map((each) => [short(each.name), value(each)]));
  return { name: graph.name, inputs, outputs, initializers, nodes, values };
}

async function structureOf(graph: Graph, unique: number): Promise<string> {
  const { inputs, outputs, nodes, initializers } = graph;
  const constants = await Promise.all(
    initializers.map(async ({ name, type, shape, load }) => {
      const isLarge = shape.reduce((product, d) => product * d, 1) > COMPARED;
      return [name, type, shape, isLarge ? `own of ${unique}` : Array.from(await load(), String)];
    }),
  );
  return JSON.stringify([inputs, outputs, nodes, constants]);
}

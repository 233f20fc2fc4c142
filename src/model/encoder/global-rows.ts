/**
 * The few tokens with global attention and projections of their own (Beltagy et al., "Longformer", section 3.1), computed apart from the
 * rows. With k = Wk x + bk the score q . k is (Wk^T q) . x and a number that is the same for all keys, which the softmax does not see; with
 * v = Wv x + bv the output is Wv (sum of p x) + bv. So the two matrices multiply the global tokens in the place of all tokens. For G
 * global tokens of H heads that takes 4 G H C multiplications for each key, C the hidden size, where projecting keys and values takes
 * 4 C^2; beyond C / H global tokens keys and values are projected.
 */
import type { Tensor, WasmDevice } from '../../attention/index.ts';
import {
  add,
  type DenseBackend,
  type DenseSession,
  type Graph,
  GraphBuilder,
  gemm,
  type HostTensor,
  matmul,
  ROWS,
  softmax,
  transpose,
  type Value,
} from '../../graph/index.ts';
import { compileMask } from '../../mask/index.ts';
import { dense } from '../../pattern/index.ts';
import type { Layout, PackedSequence } from './layout.ts';
import type { EncoderTensors } from './tensors.ts';

/** Scores that exist at a time, at most: 64 MiB. */
const SCORES_AT_ONCE = 2 ** 24;

/** Rows of a product at a time. */
const ROW_CHUNK = 1024;

const KEYS = 'keys';

export interface GlobalRowsEngines {
  readonly device: WasmDevice;
  readonly backend: DenseBackend;
  readonly signal?: AbortSignal | undefined;
}

/** Neighbouring heads. */
export interface HeadRange {
  readonly first: number;
  readonly count: number;
}

/** Of one layer. Its weights are loaded at the first batch with a global token. */
export class GlobalRows {
  readonly #heads: number;
  readonly #hidden: number;
  readonly #few: () => Graph;
  readonly #projections: () => Graph;
  readonly #sessions = new Map<'few' | 'projections', Promise<DenseSession>>();

  readonly #isStreamed: boolean;
  /** Of the batch that is under way: by sequence what its global tokens have attended [global tokens, hidden]. */
  #attended: readonly Float32Array[] = [];

  /** Asks for the tensors `${name}.query_global` and so on. Streamed weights are loaded and freed by every run. */
  constructor(tensors: EncoderTensors, name: string, heads: number, hidden: number, isStreamed = false) {
    this.#isStreamed = isStreamed;
    this.#heads = heads;
    this.#hidden = hidden;
    const ask = (part: string) => ({
      weight: tensors.ask(`${name}.${part}_global.weight`, [hidden, hidden]).load,
      bias: tensors.ask(`${name}.${part}_global.bias`, [hidden]).load,
    });
    const weights = { query: ask('query'), key: ask('key'), value: ask('value') };
    this.#few = () => fewGraph(weights, heads, hidden);
    this.#projections = () => projectionGraph(weights, hidden);
  }

  /**
   * Writes `output`: `local` with the attention of global tokens to `x` in their rows, of some heads. `x` is [rows, hidden]; the others
   * have the columns of those heads, and may be one array. Heads that come in several calls come in their order: the first call computes all.
   */
  async run(
    { local, x, output }: Readonly<Record<'local' | 'x' | 'output', Float32Array>>,
    layout: Layout,
    engines: GlobalRowsEngines,
    { first, count }: HeadRange = { first: 0, count: this.#heads },
  ): Promise<void> {
    const isOneArray = output.buffer === local.buffer && output.byteOffset === local.byteOffset;
    if (!isOneArray) output.set(local);
    const hidden = this.#hidden;
    if (first === 0) this.#attended = await this.#attend(x, layout, engines);
    const [from, width] = [(first * hidden) / this.#heads, (count * hidden) / this.#heads];
    for (const [i, { start, globals }] of layout.sequences.entries()) {
      for (const [j, place] of globals.entries()) {
        const at = j * hidden + from;
        output.set(this.#attended[i]?.subarray(at, at + width) ?? [], (start + place) * width);
      }
    }
    if (first + count === this.#heads) this.#attended = [];
  }

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).release();
    this.#sessions.clear();
  }

  /** By sequence: its global tokens' rows [global tokens, hidden]. */
  async #attend(x: Float32Array, layout: Layout, { device, backend, signal }: GlobalRowsEngines) {
    const hidden = this.#hidden;
    const attended: Float32Array[] = [];
    for (const sequence of layout.sequences) {
      const { start, globals } = sequence;
      if (globals.length === 0) {
        attended.push(new Float32Array());
        continue;
      }
      const keys = keyRows(x, sequence, hidden);
      const rows = gatherRows(
        x,
        globals.map((place) => start + place),
        hidden,
      );
      attended.push(
        globals.length * this.#heads <= hidden
          ? await this.#attendFew(rows, keys, backend, signal)
          : await this.#attendMany(rows, keys, device, backend, signal),
      );
    }
    if (this.#isStreamed) await this.release();
    return attended;
  }

  async #attendFew(rows: Float32Array, keys: Float32Array, backend: DenseBackend, signal?: AbortSignal) {
    const session = await this.#session('few', backend);
    const hidden = this.#hidden;
    const [count, length] = [rows.length / hidden, keys.length / hidden];
    const result = new Float32Array(rows.length);
    const step = Math.max(1, Math.floor(SCORES_AT_ONCE / (this.#heads * length)));
    for (let from = 0; from < count; from += step) {
      signal?.throwIfAborted();
      const to = Math.min(from + step, count);
      const part = (data: Float32Array) => matrix(data.subarray(from * hidden, to * hidden), hidden);
      await session.run({ rows: part(rows), x: matrix(keys, hidden) }, { attended: part(result) });
    }
    return result;
  }

  async #attendMany(
    rows: Float32Array,
    keys: Float32Array,
    device: WasmDevice,
    backend: DenseBackend,
    signal?: AbortSignal,
  ) {
    const session = await this.#session('projections', backend);
    const hidden = this.#hidden;
    const projected = async (x: Float32Array, names: readonly ('q' | 'k' | 'v')[]) => {
      const made = names.map(() => device.allocate(x.length));
      for (let from = 0; from < x.length; from += ROW_CHUNK * hidden) {
        signal?.throwIfAborted();
        const part = (data: Float32Array) => matrix(data.subarray(from, from + ROW_CHUNK * hidden), hidden);
        const fetches = names.map((name, i): [string, HostTensor] => [name, part(made[i] ?? x)]);
        await session.run({ x: part(x) }, Object.fromEntries(fetches));
      }
      return made as [Float32Array, Float32Array];
    };
    const [q] = await projected(rows, ['q']);
    const [k, v] = await projected(keys, ['k', 'v']);
    try {
      const heads = this.#heads;
      const tensor = (data: Float32Array): Tensor => ({
        data,
        shape: [1, data.length / hidden, heads, hidden / heads],
        layout: 'BNHD',
      });
      const sizes = { queries: rows.length / hidden, keys: keys.length / hidden, heads, queryOffset: 0 };
      const mask = compileMask(dense(), { ...sizes, length: Infinity });
      const { output } = await device.attention({
        q: tensor(q),
        k: tensor(k),
        v: tensor(v),
        mask,
        ...(signal === undefined ? {} : { signal }),
      });
      return output.data;
    } finally {
      for (const buffer of [q, k, v]) device.release(buffer);
    }
  }

  #session(kind: 'few' | 'projections', backend: DenseBackend): Promise<DenseSession> {
    const known = this.#sessions.get(kind);
    if (known !== undefined) return known;
    const made = backend.compile(kind === 'few' ? this.#few() : this.#projections());
    this.#sessions.set(kind, made);
    made.catch(() => this.#sessions.delete(kind));
    return made;
  }
}

type Loaders = Readonly<
  Record<'query' | 'key' | 'value', { weight: () => Promise<Float32Array>; bias: () => Promise<Float32Array> }>
>;

/** `rows` [rows, C] and `x` [keys, C] to `attended` [rows, C], the keys' and values' matrices on the side of the rows. */
function fewGraph({ query, key, value }: Loaders, heads: number, hidden: number): Graph {
  const graph = new GraphBuilder('global tokens');
  const width = hidden / heads;
  const weight = (name: string, shape: readonly number[], load: () => Promise<Float32Array>) =>
    graph.initializer(name, 'float32', shape, load);
  const rows = graph.input('rows', 'float32', [ROWS, hidden]);
  const x = graph.input('x', 'float32', [KEYS, hidden]);
  const shaped = (from: Value, sizes: readonly number[], shape: Value['shape']): Value =>
    graph.op1(
      { operator: 'Reshape', inputs: [from, graph.constant('int64', BigInt64Array.from(sizes, BigInt))] },
      'float32',
      shape,
    );
  const scale = 1 / Math.sqrt(width);
  const q = gemm(
    graph,
    rows,
    weight('query', [hidden, hidden], async () => (await query.weight()).map((number) => number * scale)),
    weight('query bias', [hidden], async () => (await query.bias()).map((number) => number * scale)),
    { transB: true },
  );
  const byHead = transpose(graph, shaped(q, [-1, heads, width], [ROWS, heads, width]), [1, 0, 2]); // [H, rows, D]
  const queries = matmul(graph, byHead, weight('key', [heads, width, hidden], key.weight)); // [H, rows, C]
  const scores = gemm(graph, shaped(queries, [-1, hidden], ['queries', hidden]), x, undefined, { transB: true });
  const sums = matmul(graph, softmax(graph, scores), x); // [H * rows, C]
  const perHead = shaped(sums, [heads, -1, hidden], [heads, ROWS, hidden]);
  const values = transpose(graph, weight('value', [heads, width, hidden], value.weight), [0, 2, 1]); // [H, C, D]
  const attended = transpose(graph, matmul(graph, perHead, values), [1, 0, 2]); // [rows, H, D]
  const joined = shaped(attended, [-1, hidden], [ROWS, hidden]);
  graph.output(add(graph, joined, weight('value bias', [hidden], value.bias)), 'attended');
  return graph.build();
}

/** `x` [rows, C] to `q`, `k` and `v` [rows, C]. */
function projectionGraph(loaders: Loaders, hidden: number): Graph {
  const graph = new GraphBuilder('global projections');
  const x = graph.input('x', 'float32', [ROWS, hidden]);
  for (const [name, { weight, bias }] of Object.entries(loaders)) {
    const matrix = graph.initializer(name, 'float32', [hidden, hidden], weight);
    const vector = graph.initializer(`${name} bias`, 'float32', [hidden], bias);
    graph.output(gemm(graph, x, matrix, vector, { transB: true }), name[0]);
  }
  return graph.build();
}

/** The rows of tokens that count, in place where all do. */
function keyRows(x: Float32Array, { start, length, masked }: PackedSequence, hidden: number): Float32Array {
  if (masked.length === 0) return x.subarray(start * hidden, (start + length) * hidden);
  const hiddenPlaces = new Set(masked);
  const places = Array.from({ length }, (_, place) => place).filter((place) => !hiddenPlaces.has(place));
  return gatherRows(
    x,
    places.map((place) => start + place),
    hidden,
  );
}

function gatherRows(x: Float32Array, rows: readonly number[], hidden: number): Float32Array {
  const gathered = new Float32Array(rows.length * hidden);
  for (const [i, row] of rows.entries()) gathered.set(x.subarray(row * hidden, (row + 1) * hidden), i * hidden);
  return gathered;
}

function matrix(data: Float32Array, width: number): HostTensor {
  return { type: 'float32', data, shape: [data.length / width, width] };
}

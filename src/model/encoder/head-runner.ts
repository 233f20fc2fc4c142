/** Runs a head on the rows it reads. */
import { ArgumentError } from '../../errors.ts';
import type { DenseBackend, DenseSession, Graph, HostTensor } from '../../graph/index.ts';
import type { HeadRows } from './architecture.ts';
import type { Layout } from './layout.ts';

/** Floats of one output that a call of the session makes at most: with a vocabulary of 50,000, 80 rows. */
const FLOATS_AT_ONCE = 2 ** 22;

/** One output, by sequence: [places or computed tokens, width], or [1, width]. */
export interface Rows {
  readonly name: string;
  readonly width: number;
  readonly data: readonly Float32Array[];
}

/** Its weights are loaded at the first run. */
export class HeadRunner {
  readonly rows: HeadRows;
  readonly #graph: Graph;
  readonly #backend: DenseBackend;
  #session: DenseSession | undefined;

  constructor(rows: HeadRows, graph: Graph, backend: DenseBackend) {
    this.rows = rows;
    this.#graph = graph;
    this.#backend = backend;
  }

  /** `hidden` [rows, hidden] of the layout; `places` by sequence where not all tokens are wanted. */
  async run(
    hidden: Float32Array,
    layout: Layout,
    places: readonly (readonly number[])[] | undefined,
    signal?: AbortSignal,
  ): Promise<Rows[]> {
    this.#session ??= await this.#backend.compile(this.#graph, signal ? { signal } : {});
    const width = hidden.length / layout.rows;
    const { data, counts } = this.#select(hidden, width, layout, places);
    const rows = data.length / width;
    const outputs = this.#graph.outputs.map(({ name, shape }) => ({ name, width: shape[1] as number }));
    const results = outputs.map((output) => new Float32Array(rows * output.width));
    const widest = Math.max(...outputs.map((output) => output.width));
    const chunk = Math.max(1, Math.min(1024, Math.floor(FLOATS_AT_ONCE / widest)));
    for (let from = 0; from < rows; from += chunk) {
      signal?.throwIfAborted();
      const count = Math.min(chunk, rows - from);
      const fetches = outputs.map((output, i): [string, HostTensor] => [
        output.name,
        float32(results[i] ?? new Float32Array(), from, count, output.width),
      ]);
      await this.#session.run({ hidden: float32(data, from, count, width) }, Object.fromEntries(fetches));
    }
    return outputs.map((output, i) => {
      let at = 0;
      const data = counts.map((count) => {
        const from = at;
        at += count;
        return (results[i] ?? new Float32Array()).subarray(from * output.width, at * output.width);
      });
      return { ...output, data };
    });
  }

  async release(): Promise<void> {
    await this.#session?.release();
  }

  /** The rows that the head reads, and how many each sequence has of them. */
  #select(hidden: Float32Array, width: number, layout: Layout, places: readonly (readonly number[])[] | undefined) {
    if (this.rows === 'mean') return { data: means(hidden, width, layout), counts: layout.sequences.map(() => 1) };
    if (this.rows === 'all' && places === undefined) {
      return { data: hidden, counts: layout.sequences.map(({ length }) => length) };
    }
    const chosen = layout.sequences.map(({ start, length }, i) =>
      (this.rows === 'first' ? [0] : this.rows === 'last' ? [length - 1] : (places?.[i] ?? [])).map((place) => {
        if (Number.isInteger(place) && place >= 0 && place < length) return start + place;
        throw new ArgumentError(`headPlaces[${i}] has ${place}; places are integers from 0 to ${length - 1}`);
      }),
    );
    const rows = chosen.flat();
    const data = new Float32Array(rows.length * width);
    for (const [i, row] of rows.entries()) data.set(hidden.subarray(row * width, (row + 1) * width), i * width);
    return { data, counts: chosen.map((own) => own.length) };
  }
}

/** The mean of each sequence's rows that are not masked [sequences, width]. */
export function means(hidden: Float32Array, width: number, { sequences }: Layout): Float32Array {
  const result = new Float32Array(sequences.length * width);
  for (const [i, { start, length, masked }] of sequences.entries()) {
    const skipped = new Set(masked);
    const sums = new Float64Array(width);
    for (let place = 0; place < length; place++) {
      if (skipped.has(place)) continue;
      for (let d = 0; d < width; d++) sums[d] = (sums[d] ?? 0) + (hidden[(start + place) * width + d] ?? 0);
    }
    result.set(
      sums.map((sum) => sum / (length - skipped.size)),
      i * width,
    );
  }
  return result;
}

function float32(data: Float32Array, from: number, count: number, width: number): HostTensor {
  return { type: 'float32', data: data.subarray(from * width, (from + count) * width), shape: [count, width] };
}

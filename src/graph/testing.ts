import { expect } from 'vitest';
import type { DenseBackend, HostTensor } from './backend.ts';
import { GraphBuilder } from './builder.ts';
import { ROWS, type Value } from './ir.ts';

/** Numbers in -1..1 that are the same on every run (mulberry32). */
export function random(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1) as number;
  });
}

export function ones(length: number): Float32Array {
  return new Float32Array(length).fill(1);
}

/** Fails where an element differs by more than `tolerance` times the largest magnitude expected, or 1. */
export function allClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  let scale = 1;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i] ?? Number.NaN));
    worst = Math.max(worst, Math.abs((actual[i] ?? Number.NaN) - (expected[i] ?? Number.NaN)));
    if (Number.isNaN(actual[i])) worst = Number.NaN;
  }
  expect(worst).toBeLessThanOrEqual(tolerance * scale);
}

/**
 * Runs a graph of one output on float32 inputs with `rows` rows each, given by name. `make` builds it from the inputs' values.
 */
export async function evaluate<Name extends string>(
  backend: DenseBackend,
  rows: number,
  inputs: Readonly<Record<Name, Float32Array>>,
  make: (graph: GraphBuilder, values: Record<Name, Value>) => Value,
): Promise<Float32Array> {
  const graph = new GraphBuilder('test');
  const feeds: Record<string, HostTensor> = {};
  const values = {} as Record<Name, Value>;
  for (const name of Object.keys(inputs) as Name[]) {
    const data = inputs[name];
    const columns = data.length / rows;
    values[name] = graph.input(name, 'float32', [ROWS, columns]);
    feeds[name] = { type: 'float32', data, shape: [rows, columns] };
  }
  const output = graph.output(make(graph, values), 'output');
  const shape = output.shape.map((dimension) => (typeof dimension === 'string' ? rows : dimension));
  const data = new Float32Array(shape.reduce((product, dimension) => product * dimension, 1));
  const session = await backend.compile(graph.build());
  try {
    await session.run(feeds, { output: { type: 'float32', data, shape } });
  } finally {
    await session.release();
  }
  return data;
}

/** Gradients of trainable models against central differences of their graphs in float64, for tests. */
import { expect } from 'vitest';
import type { Graph } from '../graph/index.ts';
import { evaluateReference } from '../graph/reference/evaluate.ts';
import { type Tensor64, tensor } from '../graph/reference/tensor.ts';
import { random } from '../graph/testing.ts';
import type { Parameter, Trainable, TrainingBatch } from './trainable.ts';
import { initialParameters, type Specification } from './transformer.ts';

export type Weights = ReadonlyMap<string, Float64Array>;

/** Initial weights are near the symmetric point where gradients vanish; these are not. */
export function spreadWeights(specifications: readonly Specification[], scale = 0.4): Map<string, Float32Array> {
  return new Map(
    initialParameters(specifications).map(({ name, data }, i) => [
      name,
      random(data.length, 100 + i).map((x, j) => (data[j] === 1 ? 1 + 0.3 * x : scale * x)),
    ]),
  );
}

export function zerosFor(parameters: readonly Parameter[]): Float32Array[] {
  return parameters.map(({ data }) => new Float32Array(data.length));
}

/** A matrix by its elements. */
export function matrix(rows: number, width: number, f: (row: number, column: number) => number): Tensor64 {
  const data = Array.from({ length: rows * width }, (_, i) => f(Math.floor(i / width), i % width));
  return tensor([rows, width], data);
}

/** cos and sin of the rotary angles of positions 0, 1, ... for base 10,000. */
export function rotaryFeeds(rows: number, half: number): Record<'cos' | 'sin', Tensor64> {
  const angle = (row: number, i: number) => row * 10_000 ** (-i / half);
  return {
    cos: matrix(rows, half, (row, i) => Math.cos(angle(row, i))),
    sin: matrix(rows, half, (row, i) => Math.sin(angle(row, i))),
  };
}

/** An output of a graph in float64, for one sequence. */
export async function outputOf(
  graph: Graph,
  specifications: readonly Specification[],
  weights: Weights,
  feeds: Readonly<Record<string, Tensor64>>,
): Promise<Tensor64> {
  const all: Record<string, Tensor64> = { ...feeds };
  for (const { name, shape } of specifications) all[name] = tensor(shape, weights.get(name));
  const [output] = graph.outputs;
  const found = (await evaluateReference(graph, all)).get(output?.name ?? '');
  if (found === undefined) throw new Error('no output');
  return found;
}

/** The loss, and three elements of each parameter's gradient, against a definition in float64. */
export async function checkGradients(
  model: Trainable,
  batch: TrainingBatch,
  definition: (weights: Weights) => Promise<number>,
): Promise<void> {
  const exact = new Map(model.parameters.map(({ name, data }) => [name, Float64Array.from(data)]));
  const gradients = zerosFor(model.parameters);
  const { loss, tokens } = await model.step(batch, gradients);
  expect(tokens).toBe(batch.inputs.length);
  expect(loss).toBeCloseTo(await definition(exact), 5);
  expect((await model.evaluate(batch)).loss).toBeCloseTo(loss, 6);
  for (const [i, { name, data }] of model.parameters.entries()) {
    const gradient = gradients[i] ?? new Float32Array();
    const largest = Math.max(...gradient.map(Math.abs));
    expect(largest, name).toBeGreaterThan(1e-4);
    for (const element of [0, Math.floor(data.length / 2), data.length - 1]) {
      const at = (change: number) => {
        const changed = Float64Array.from(data);
        changed[element] = (changed[element] as number) + change;
        return definition(new Map(exact).set(name, changed));
      };
      const numeric = ((await at(1e-5)) - (await at(-1e-5))) / 2e-5;
      const difference = Math.abs((gradient[element] as number) - numeric);
      expect(difference, `${name}[${element}]`).toBeLessThan(1e-5 * Math.max(1, largest));
    }
  }
}

/** Something small to train in tests, with gradients in closed form. */
import type { BatchSource, JsonValue } from './data/source.ts';
import type { StepResult, Trainable, TrainingBatch } from './trainable.ts';

/** Numbers in -1..1 that depend on nothing but their arguments. */
export function noise(seed: number, index: number): number {
  let t = Math.imul(seed ^ 0x6d2b79f5, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b);
  t = Math.imul(t ^ (t >>> 15), 0x2c1b3c6d);
  t = Math.imul(t ^ (t >>> 12), 0x297a2d39);
  return ((t ^ (t >>> 15)) >>> 0) / 2 ** 31 - 1;
}

export function noisyArray(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => noise(seed, i));
}

/**
 * Multinomial logistic regression of the next token on the present one: logits = table[token] + bias. Loss and gradients are
 * the textbook's, weight (p - onehot(target)) / sum of weights.
 */
export function bigramModel(vocabulary: number, seed = 1): Trainable {
  const table = noisyArray(vocabulary * vocabulary, seed);
  const bias = noisyArray(vocabulary, seed + 1);
  const parameters = [
    { name: 'table.weight', shape: [vocabulary, vocabulary], data: table },
    { name: 'bias', shape: [vocabulary], data: bias },
  ];
  const run = (batch: TrainingBatch, gradients?: readonly Float32Array[], lossScale = 1): StepResult => {
    const { inputs, targets, weights } = batch;
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    let loss = 0;
    for (let row = 0; row < inputs.length; row++) {
      const start = inputs[row] * vocabulary;
      const powers = Float64Array.from({ length: vocabulary }, (_, i) => Math.exp(table[start + i] + bias[i]));
      const sum = powers.reduce((total, power) => total + power, 0);
      loss -= (weights[row] / all) * Math.log(powers[targets[row]] / sum);
      if (gradients === undefined) continue;
      const [ofTable, ofBias] = gradients;
      for (let i = 0; i < vocabulary; i++) {
        const own = (lossScale * weights[row] * (powers[i] / sum - (i === targets[row] ? 1 : 0))) / all;
        ofTable[start + i] += own;
        ofBias[i] += own;
      }
    }
    return { loss, tokens: inputs.length };
  };
  return {
    parameters,
    step: async (batch, gradients, { lossScale, signal } = {}) => {
      signal?.throwIfAborted();
      return run(batch, gradients, lossScale);
    },
    evaluate: async (batch) => run(batch),
  };
}

/** Pairs (t, 3 t + 1 or 3 t + 2) modulo the vocabulary, weighted unevenly; `batches` of them, or no end. */
export function bigramSource(
  vocabulary: number,
  { seed = 1, rows = 16, batches = Infinity }: { seed?: number; rows?: number; batches?: number } = {},
): BatchSource {
  let given = 0;
  const batch = (number: number): TrainingBatch => {
    const pick = (what: number, below: number) => (i: number) =>
      Math.floor(((noise(seed + what, number * rows + i) + 1) / 2) * below);
    const inputs = Int32Array.from({ length: rows }, (_, i) => pick(0, vocabulary)(i));
    return {
      inputs,
      targets: inputs.map((token, i) => (3 * token + 1 + pick(1, 2)(i)) % vocabulary),
      weights: Float32Array.from({ length: rows }, (_, i) => 1 + pick(2, 3)(i)),
      starts: Int32Array.of(0),
    };
  };
  return {
    next: async () => (given < batches ? batch(given++) : undefined),
    state: () => ({ given }),
    restore: (state: JsonValue) => {
      given = (state as { given: number }).given;
    },
    async *validation() {
      for (let i = 0; i < 3; i++) yield batch(1_000_000 + i);
    },
  };
}

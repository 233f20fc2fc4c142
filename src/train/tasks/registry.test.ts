import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import type { RandomStream } from '../data/random.ts';
import { type Generator, generatedSet } from './generated-set.ts';
import { longRangeArenaTable1 } from './published.ts';
import { tasks } from './registry.ts';

describe('tasks', () => {
  it.each(Object.entries(tasks))('%s gives batches of what it says', async (name, task) => {
    const sizes = { trainingSize: 6, heldOutSize: 4, sequences: 3, epochs: 1, seed: 1 };
    const source = task.source(sizes);
    const batches = [];
    for (let batch = await source.next(); batch !== undefined; batch = await source.next()) batches.push(batch);
    for await (const batch of source.validation?.() ?? []) batches.push(batch);
    expect(batches.map(({ labels }) => labels?.length)).toEqual([3, 3, 3, 1]);
    for (const { inputs, starts, labels } of batches) {
      expect(inputs.every((token) => token >= 0 && token < task.vocabularySize)).toBe(true);
      expect(labels?.every((label) => label >= 0 && label < task.classes)).toBe(true);
      expect(inputs[starts[0]]).toBe(task.sets().training.classificationToken);
      expect(inputs.length).toBeLessThanOrEqual(starts.length * (task.length + 1));
    }
    const again = task.source(sizes);
    expect(await again.next()).toEqual(batches[0]);
    expect(task.description.length).toBeGreaterThan(20);
    expect(Object.keys(task.published)).toHaveLength(name === 'pathfinder-128' ? 0 : 11);
  });

  it('have the published means that the paper gives to one digit', () => {
    // Table 1, last row: the mean of a column and, in brackets, its standard deviation.
    const printed = {
      listops: [29, 9.7],
      text: [61, 4.6],
      retrieval: [55, 2.6],
      image: [41, 1.8],
      pathfinder: [72, 3.7],
    };
    for (const [column, [mean, deviation]] of Object.entries(printed)) {
      const values = Object.values(longRangeArenaTable1).map((row) => Object(row)[column] as number);
      expect(values).toHaveLength(11);
      const average = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / (values.length - 1);
      expect(Math.abs(average - mean), column).toBeLessThan(1);
      expect(Math.abs(Math.sqrt(variance) - deviation), column).toBeLessThan(0.6);
    }
  });
});

describe('generatedSet', () => {
  const small: Generator = {
    name: 'pairs',
    classes: 2,
    vocabularySize: 9,
    classificationToken: 8,
    maximumLength: 2,
    generate: (random: RandomStream) => ({
      tokens: Int32Array.of(random.integer(8), random.integer(8)),
      label: random.integer(2),
    }),
  };

  it('has no sequence in both parts, even where there are few to draw from', () => {
    const seen = (part: 'training' | 'held-out', seed: number): Set<string> => {
      const set = generatedSet(small, { size: 500, seed, part });
      return new Set(Array.from({ length: 500 }, (_, i) => (set.at(i) as { tokens: Int32Array }).tokens.join()));
    };
    const training = new Set([...seen('training', 1), ...seen('training', 2)]);
    const heldOut = new Set([...seen('held-out', 1), ...seen('held-out', 7)]);
    expect([...training].filter((tokens) => heldOut.has(tokens))).toEqual([]);
    expect(training.size + heldOut.size).toBe(64);
  });

  it('gives the same sequence at the same place, whatever was read before', () => {
    const make = () => generatedSet(small, { size: 50, seed: 1, part: 'training' });
    const set = make();
    const backwards = Array.from({ length: 50 }, (_, i) => set.at(49 - i)).reverse();
    expect(backwards).toEqual(Array.from({ length: 50 }, (_, i) => make().at(i)));
  });

  it('gives up where nothing can be drawn, and refuses bad sizes and seeds', () => {
    const set = generatedSet({ ...small, generate: () => undefined }, { size: 1, seed: 1, part: 'training' });
    expect(() => set.at(0)).toThrow(/too narrow/);
    expect(() => generatedSet(small, { size: 0, seed: 1, part: 'training' })).toThrow(ArgumentError);
    expect(() => generatedSet(small, { size: 1, seed: 0.5, part: 'training' })).toThrow(ArgumentError);
  });
});

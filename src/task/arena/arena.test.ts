import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../../attention/index.ts';
import { ArgumentError, PatternError } from '../../errors.ts';
import { createNodeBackend, type DenseBackend } from '../../graph/index.ts';
import { checkPatternFits } from '../../pattern/index.ts';
import { longRangeArenaTable1, tasks } from '../../train/index.ts';
import { type ArenaOptions, type ArenaProgress, type ArenaResult, runArena } from './arena.ts';
import { arenaPatterns, ownPattern } from './patterns.ts';

let device: WasmDevice;
let backend: DenseBackend;
beforeAll(async () => {
  device = await createDevice({ threads: 2 });
  backend = await createNodeBackend({ threads: 1 });
});
afterAll(() => device.dispose());

async function run(options: Partial<ArenaOptions>): Promise<ArenaResult[]> {
  const results: ArenaResult[] = [];
  const all = runArena({
    tasks: ['counted-shapes'],
    patterns: [ownPattern('window:8')],
    steps: 2,
    tokens: 2100,
    heldOut: 6,
    hiddenSize: 16,
    layers: 1,
    heads: 2,
    model: { device, backend },
    ...options,
  });
  for await (const result of all) results.push(result);
  return results;
}

describe('runArena', () => {
  it('gives patterns that allow the same pairs the same result, and says how far it is', async () => {
    const progress: ArenaProgress[] = [];
    const patterns = [...arenaPatterns.filter(({ name }) => name === 'dense'), ownPattern('window:2000')];
    const [dense, wide] = await run({ patterns, onProgress: (step) => progress.push(step) });
    expect(wide.loss).toBeCloseTo(dense.loss, 5);
    expect(wide.accuracy).toBe(dense.accuracy);
    expect([dense.published, wide.published]).toEqual([42.44, undefined]);
    // Two images of 1,024 tokens fit into a step, each with its classification token.
    expect([dense.sequences, wide.sequences]).toEqual([2, 2]);
    expect([dense.rows, wide.rows]).toEqual([4 * 1025, 4 * 1025]);
    expect(Number.isInteger(Math.round(6 * dense.accuracy * 1e9) / 1e9)).toBe(true);
    const steps = progress.filter(({ event }) => event.kind === 'step').map(({ done, total }) => [done, total]);
    expect(steps).toEqual([1, 2, 3, 4].map((done) => [done, 4]));
  });

  it('knows the share of the commonest class', async () => {
    const [{ majority }] = await run({ steps: 1 });
    const { heldOut } = tasks['counted-shapes'].sets({ seed: 0, heldOutSize: 6 });
    const labels = await Promise.all(Array.from({ length: 6 }, async (_, i) => (await heldOut.at(i)).label));
    const most = Math.max(...labels.map((label) => labels.filter((other) => other === label).length));
    expect(majority).toBe(most / 6);
  });

  it('stops when it is told to, and refuses steps that are no number', async () => {
    const reason = new Error('stop');
    const stop = new AbortController();
    const stopped = run({ signal: stop.signal, onProgress: () => stop.abort(reason) });
    await expect(stopped).rejects.toBe(reason);
    await expect(run({ steps: 0.5 })).rejects.toThrow(ArgumentError);
    await expect(run({ tokens: 0 })).rejects.toThrow(ArgumentError);
    expect(() => ownPattern('windov:3')).toThrow(PatternError);
  });
});

describe('arenaPatterns', () => {
  it('fit the longest sequences of every task, and stand beside models of the table', () => {
    for (const { length } of Object.values(tasks)) {
      for (const { pattern } of arenaPatterns)
        expect(() => checkPatternFits(pattern(length + 1), length + 1)).not.toThrow();
    }
    for (const { published } of arenaPatterns) expect(Object.keys(longRangeArenaTable1)).toContain(published);
  });
});

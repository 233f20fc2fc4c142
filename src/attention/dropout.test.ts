import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../errors.ts';
import { isKept } from './dropout.ts';
import { createDevice, type Tensor, type WasmDevice } from './index.ts';
import { candidateBuilds } from './wasm/choose-build.ts';
import { findPlatform } from './wasm/platform.ts';

const builds = ['baseline', ...candidateBuilds(await findPlatform()).filter((build) => build !== 'baseline')] as const;
const [B, H, N, M] = [2, 3, 128, 64];
const RATE = 0.3;

/** Kept pairs [B, H, N, M], as 0 and 1, by the definition. */
function kept(seed: number): Uint8Array {
  const pairs = new Uint8Array(B * H * N * M);
  for (let i = 0; i < pairs.length; i++) {
    const [k, q] = [i % M, Math.floor(i / M) % N];
    const [h, b] = [Math.floor(i / (M * N)) % H, Math.floor(i / (M * N * H))];
    pairs[i] = Number(isKept({ rate: RATE, seed }, b, h, q, k));
  }
  return pairs;
}

/** How many standard deviations a count of independent events of chance p lies from its mean. */
function deviations(count: number, of: number, p: number): number {
  return Math.abs(count - of * p) / Math.sqrt(of * p * (1 - p));
}

describe('which pairs are kept', () => {
  const pairs = kept(1);

  it('has the right share, in all, in each row, column, head and batch entry', () => {
    const total = pairs.reduce((sum, x) => sum + x, 0);
    expect(deviations(total, pairs.length, 1 - RATE)).toBeLessThan(4);
    for (const [size, stride] of [
      [M, 1],
      [N, M],
      [H, N * M],
      [B, H * N * M],
    ]) {
      const counts = new Float64Array(size);
      pairs.forEach((x, i) => {
        counts[Math.floor(i / stride) % size] += x;
      });
      for (const count of counts) expect(deviations(count, pairs.length / size, 1 - RATE)).toBeLessThan(4.5);
    }
  });

  it.each([1, 2, 3, 8, M, 2 * M, N * M, H * N * M])('is independent of the pair %i further', (step) => {
    let both = 0;
    for (let i = 0; i + step < pairs.length; i++) both += pairs[i] & pairs[i + step];
    expect(deviations(both, pairs.length - step, (1 - RATE) ** 2)).toBeLessThan(5);
  });

  it.each([2, 3, 2 ** 32 + 1, 2 ** 40])('is independent of that of seed %i', (seed) => {
    let both = 0;
    kept(seed).forEach((x, i) => {
      both += x & pairs[i];
    });
    expect(deviations(both, pairs.length, (1 - RATE) ** 2)).toBeLessThan(4.5);
  });

  it('occurs in rows as often as chance has it: four neighbours take all 16 forms', () => {
    const counts = new Float64Array(16);
    for (let i = 0; i < pairs.length; i += 4)
      counts[pairs[i] | (pairs[i + 1] << 1) | (pairs[i + 2] << 2) | (pairs[i + 3] << 3)]++;
    let chiSquare = 0;
    counts.forEach((count, form) => {
      const ones = [1, 2, 4, 8].filter((bit) => form & bit).length;
      const want = (pairs.length / 4) * (1 - RATE) ** ones * RATE ** (4 - ones);
      chiSquare += (count - want) ** 2 / want;
    });
    // 15 degrees of freedom: mean 15, 99.9 % below 37.7.
    expect(chiSquare).toBeLessThan(37.7);
  });
});

describe.each(builds)('dropout on the wasm build %s', (build) => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ build, threads: 2 });
  });
  afterAll(() => device.dispose());

  // Equal scores, and values that are the rows of an identity: the output is the matrix of probabilities.
  const zero: Tensor = { data: new Float32Array(B * H * N * 4), shape: [B, H, N, 4] };
  const keys: Tensor = { data: new Float32Array(B * H * M * 4), shape: [B, H, M, 4] };
  const identity: Tensor = {
    data: Float32Array.from({ length: B * H * M * M }, (_, i) => Number(i % M === Math.floor(i / M) % M)),
    shape: [B, H, M, M],
  };
  const dense = { q: zero, k: keys, v: identity, pattern: { kind: 'dense' } } as const;

  it('drops the pairs of the definition, scales the others by 1 / (1 - rate), and leaves lse alone', async () => {
    const seed = 2 ** 45 + 3;
    const { output, lse } = await device.attention({ ...dense, dropout: { rate: RATE, seed } });
    // Query rows stand at positions M - N to M - 1.
    for (let i = 0; i < output.data.length; i++) {
      const [k, q] = [i % M, (Math.floor(i / M) % N) + M - N];
      const [h, b] = [Math.floor(i / (M * N)) % H, Math.floor(i / (M * N * H))];
      const want = isKept({ rate: RATE, seed }, b, h, q, k) ? 1 / M / (1 - RATE) : 0;
      expect(Math.abs(output.data[i] - want), `pair ${i}`).toBeLessThan(1e-7);
    }
    for (const value of lse) expect(value).toBeCloseTo(Math.log(M), 5);
  });

  it('of rate 0 changes nothing', async () => {
    const without = await device.attention(dense);
    expect(await device.attention({ ...dense, dropout: { rate: 0, seed: 5 } })).toEqual(without);
  });

  it.each([
    [{ rate: 1, seed: 1 }, /dropout\.rate must be from 0 to below 1, got 1/],
    [{ rate: Number.NaN, seed: 1 }, /dropout\.rate must be from 0 to below 1, got NaN/],
    [{ rate: 0.1, seed: -1 }, /dropout\.seed must be a non-negative integer, got -1/],
    [{ rate: 0.1, seed: 0.5 }, /dropout\.seed must be a non-negative integer, got 0\.5/],
  ])('refuses %j', async (dropout, message) => {
    const run = device.attention({ ...dense, dropout });
    await expect(run).rejects.toThrow(ArgumentError);
    await expect(run).rejects.toThrow(message);
  });
});

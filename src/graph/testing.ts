import { expect } from 'vitest';

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

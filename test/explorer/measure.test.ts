import { describe, expect, it } from 'vitest';
import {
  type Change,
  type MeasurePart,
  type MeasureQuestion,
  measure,
  type Timing,
} from '../../explorer/src/cost/measure.ts';
import { fillTensors, TOPIC_LENGTH } from '../../explorer/src/cost/sample-tensors.ts';
import { referenceAttention } from '../../src/attention/index.ts';
import { compileMask, statistics } from '../../src/mask/index.ts';
import { allows, causal, type Pattern, parsePattern } from '../../src/pattern/index.ts';

async function partsOf(question: Partial<MeasureQuestion>): Promise<MeasurePart[]> {
  const parts: MeasurePart[] = [];
  const whole: MeasureQuestion = {
    pattern: 'causal&(sinks:2+window:20)',
    heads: 2,
    width: 16,
    lengths: [96, 160],
    content: 'topics',
    threads: 1,
    ...question,
  };
  for await (const part of measure(whole)) parts.push(part);
  return parts;
}

const only = <K extends MeasurePart['kind']>(parts: readonly MeasurePart[], kind: K) =>
  parts.filter((part): part is Extract<MeasurePart, { kind: K }> => part.kind === kind);

describe('a measurement', () => {
  it('times both sides at every length, with the pairs and at least the bytes of the tensors', async () => {
    const parts = await partsOf({});
    expect(only(parts, 'device')).toMatchObject([{ threads: 1, opponent: 'causal' }]);
    const timings: Timing[] = only(parts, 'timing');
    expect(timings.map(({ tokens, side }) => `${tokens} ${side}`)).toEqual([
      '96 pattern',
      '96 dense',
      '160 pattern',
      '160 dense',
    ]);
    for (const { tokens, side, milliseconds, runs, bytes, pairs } of timings) {
      const pattern: Pattern = side === 'dense' ? causal() : parsePattern('causal&(sinks:2+window:20)');
      const shape = { queries: tokens, keys: tokens, heads: 2 };
      expect(pairs).toBe(statistics(compileMask(pattern, shape)).pairs);
      expect(milliseconds).toBeGreaterThan(0);
      expect(runs).toBeGreaterThan(0);
      const tensors = 4 * 4 * 2 * tokens * 16;
      expect(bytes).toBeGreaterThan(tensors);
      // One thread's scratch and a mask of a few blocks.
      expect(bytes).toBeLessThan(tensors + 2 ** 20);
    }
    const [check] = only(parts, 'check');
    expect(check.largestOutput).toBeGreaterThan(1);
    expect(check.largestError / check.largestOutput).toBeLessThan(1e-5);
  });

  it('says what leaving pairs out changes, as the definition in float64 does', async () => {
    const [heads, width, tokens] = [2, 16, 96];
    const text = 'sinks:2+window:5';
    const array = () => new Float32Array(heads * tokens * width);
    const data = { q: array(), k: array(), v: array() };
    fillTensors(data, { heads, tokens, width }, 'topics', tokens);
    const shape = [1, heads, tokens, width] as const;
    const tensors = { q: { data: data.q, shape }, k: { data: data.k, shape }, v: { data: data.v, shape } };
    const full = referenceAttention(tensors);
    const own = referenceAttention({ ...tensors, pattern: parsePattern(text) });
    const apart = Math.hypot(...full.output.map((number, i) => number - own.output[i]));
    let out = 0;
    for (let h = 0; h < heads; h++) {
      for (let q = 0; q < tokens; q++) {
        const score = (k: number): number => {
          let dot = 0;
          for (let d = 0; d < width; d++)
            dot += data.q[(h * tokens + q) * width + d] * data.k[(h * tokens + k) * width + d];
          return Math.exp(dot / Math.sqrt(width) - full.lse[h * tokens + q]);
        };
        for (let k = 0; k < tokens; k++) if (!allows(parsePattern(text), { head: h, q, k })) out += score(k);
      }
    }
    const [change]: Change[] = only(await partsOf({ pattern: text, lengths: [tokens] }), 'change');
    expect(change.relative).toBeCloseTo(apart / Math.hypot(...full.output), 5);
    expect(change.massLeftOut).toBeCloseTo(out / (heads * tokens), 5);
    expect(change.relative).toBeGreaterThan(0.01);
  });

  it('finds no change where nothing is left out, and goes on where a pattern does not fit', async () => {
    const [change] = only(await partsOf({ pattern: 'dense', lengths: [128] }), 'change');
    expect(change).toMatchObject({ relative: 0, massLeftOut: 0 });
    const parts = await partsOf({ pattern: 'axial(grid=[10,10],axes=[[0],[1]])', lengths: [100, 128] });
    expect(only(parts, 'unfit')).toMatchObject([{ tokens: 128 }]);
    expect(only(parts, 'timing').map(({ tokens }) => tokens)).toEqual([100, 100, 128]);
  });

  it('makes neighbours alike over the length that it says', () => {
    const [tokens, width] = [4000, 8];
    const array = () => new Float32Array(tokens * width);
    const data = { q: array(), k: array(), v: array() };
    fillTensors(data, { heads: 1, tokens, width }, 'topics', 3);
    let [square, along] = [0, 0];
    for (let i = 0; i < (tokens - TOPIC_LENGTH) * width; i++) {
      square += data.q[i] ** 2;
      along += data.q[i] * data.k[i + TOPIC_LENGTH * width];
    }
    expect(along / square).toBeGreaterThan(Math.exp(-1) - 0.15);
    expect(along / square).toBeLessThan(Math.exp(-1) + 0.15);
  });
});

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDevice, type WasmDevice } from '../attention/index.ts';
import { type ExportOptions, exportOnnx } from '../graph/index.ts';
import { type Pattern, parsePattern } from '../pattern/index.ts';
import { openForExport } from './export-node.ts';
import { matchRows } from './latest-matches.ts';
import { llamaOnnxGraph, MATCH_ROWS } from './llama-onnx.ts';
import { openLlamaWeights } from './llama-weights.ts';
import { loadLanguageModel } from './load.ts';
import { checkpointOf, definition, openTiny, TINY, tinyWeights } from './testing.ts';

const weights = tinyWeights(TINY);

async function exported(pattern: Pattern, options: ExportOptions = {}) {
  const opened = openLlamaWeights(checkpointOf(weights), TINY, {
    format: 'safetensors',
    weights: 'f32',
    source: 'tiny',
  });
  return exportOnnx(await llamaOnnxGraph(TINY, opened, { pattern }), options);
}

const idsOf = (length: number, seed = 0) => Array.from({ length }, (_, i) => (i * i * 7 + i * 3 + seed) % 49);
const int64 = (values: readonly number[]) => BigInt64Array.from(values, BigInt);

function largestDifference(got: ArrayLike<number>, want: readonly number[]): number {
  expect(got.length).toBe(want.length);
  return want.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (got[i] ?? Number.NaN))), 0);
}

const PATTERN = parsePattern('sinks:2+window:9');
const CAUSAL: Pattern = { kind: 'intersect', of: [{ kind: 'causal' }, PATTERN] };

describe('an exported Llama', () => {
  let device: WasmDevice;
  beforeAll(async () => {
    device = await createDevice({ threads: 1 });
  });
  afterAll(() => device.dispose());

  it('has a tied matrix once, and multiplies with it', async () => {
    const config = { ...TINY, tiedEmbeddings: true };
    const tied = new Map(weights);
    tied.delete('lm_head.weight');
    const opened = openLlamaWeights(checkpointOf(tied), config, {
      format: 'safetensors',
      weights: 'f32',
      source: 'tiny',
    });
    const graph = await llamaOnnxGraph(config, opened, { pattern: PATTERN });
    const size = `${TINY.vocabularySize},${TINY.hiddenSize}`;
    expect(graph.initializers.filter(({ shape }) => `${shape}` === size)).toHaveLength(1);
    const { model } = await exportOnnx(graph);
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    const ids = idsOf(40);
    const { logits } = await session.run({
      input_ids: new Tensor('int64', int64(ids), [1, 40]),
      attention_mask: new Tensor('int64', int64(ids.map(() => 1)), [1, 40]),
    });
    const embedding = weights.get('model.embed_tokens.weight');
    if (embedding === undefined) throw new Error('there is no embedding');
    const want = definition(TINY, new Map(weights).set('lm_head.weight', embedding), ids, CAUSAL).flat();
    expect(largestDifference(logits?.data as Float32Array, want)).toBeLessThan(1e-4 * Math.max(...want.map(Math.abs)));
  });

  it('gives the logits of the definition and of the native path at any length', async () => {
    const { model } = await exported(PATTERN);
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    expect(session.inputNames).toEqual(['input_ids', 'attention_mask']);
    await using native = await openTiny(device);
    for (const length of [1, 7, 64, 131]) {
      const ids = idsOf(length);
      const shape = [1, length];
      const feeds = {
        input_ids: new Tensor('int64', int64(ids), shape),
        attention_mask: new Tensor('int64', int64(ids.map(() => 1)), shape),
      };
      const { logits } = await session.run(feeds);
      expect(logits?.dims).toEqual([1, length, TINY.vocabularySize]);
      const got = logits?.data as Float32Array;
      expect(largestDifference(got, definition(TINY, weights, ids, CAUSAL).flat())).toBeLessThan(1e-4);
      const last = await native.stream({ pattern: PATTERN, positions: 'given', length }).logits(ids);
      expect(largestDifference(got.subarray(-TINY.vocabularySize), Array.from(last))).toBeLessThan(1e-4);
    }
    await session.release();
  });

  it('takes the rows of a table of matches as an input', async () => {
    const matches = [1, 2, 4];
    const config = { ...TINY, matches };
    const own = tinyWeights(config);
    const opened = openLlamaWeights(checkpointOf(own), config, {
      format: 'safetensors',
      weights: 'f32',
      source: 'own',
    });
    const { model } = await exportOnnx(await llamaOnnxGraph(config, opened, { pattern: PATTERN }));
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    expect(session.inputNames).toEqual(['input_ids', 'attention_mask', MATCH_ROWS]);
    await using native = await openTiny(device, config);
    const ids = Array.from({ length: 60 }, (_, i) => idsOf(25)[i % 25] as number);
    const rows = matchRows(Int32Array.from(ids), Int32Array.of(0), matches, config.vocabularySize);
    const { logits } = await session.run({
      input_ids: new Tensor('int64', int64(ids), [1, 60]),
      attention_mask: new Tensor('int64', int64(ids.map(() => 1)), [1, 60]),
      [MATCH_ROWS]: new Tensor('int64', BigInt64Array.from(rows, BigInt), [1, 60, 3]),
    });
    const want = definition(config, own, ids, CAUSAL);
    expect(largestDifference(logits?.data as Float32Array, want.flat())).toBeLessThan(1e-4);
    // The native path, in chunks and one by one; what a failed chunk had read is forgotten.
    const stream = native.stream({ pattern: PATTERN, positions: 'given', chunk: 16 });
    await stream.read(ids.slice(0, 50));
    const cancel = new AbortController();
    let asked = 0;
    const { signal } = cancel;
    // The first time is before the chunk, the second within it.
    signal.throwIfAborted = () => {
      if (++asked === 2) throw new Error('within a chunk');
    };
    await expect(stream.read(ids.slice(3, 19), { signal })).rejects.toThrow('within a chunk');
    expect(stream.length).toBe(50);
    for (let at = 50; at < 60; at++) {
      const last = await stream.logits([ids[at] as number]);
      expect(largestDifference(last, want[at] as number[])).toBeLessThan(1e-4);
    }
    await session.release();
  });

  it('is what the bundled model gives under the pattern it was trained with', async () => {
    const { parts, close } = await openForExport('farfield-small', { trainedPattern: true });
    const [{ graph, weightBytes }] = parts;
    const { model } = await exportOnnx(graph);
    // The folder has f16 and the embedding once; the file float32, and the head's matrix too.
    const floats = graph.initializers.filter(({ type }) => type === 'float32');
    const bytes = floats.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 4), 0);
    expect(weightBytes / bytes).toBeCloseTo(1, 3);
    await close();
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    await using native = await loadLanguageModel('farfield-small', { threads: 1 });
    const { vocabularySize } = native.config;
    const ids = [256, ...new TextEncoder().encode('What a window does not reach, a match may still find. '.repeat(30))];
    const matches = [3, 4, 5, 6, 8, 12, 20, 32];
    const rows = matchRows(Int32Array.from(ids), Int32Array.of(0), matches, vocabularySize);
    const { logits } = await session.run({
      input_ids: new Tensor('int64', int64(ids), [1, ids.length]),
      attention_mask: new Tensor('int64', int64(ids.map(() => 1)), [1, ids.length]),
      [MATCH_ROWS]: new Tensor('int64', BigInt64Array.from(rows, BigInt), [1, ids.length, matches.length]),
    });
    const all = logits?.data as Float32Array;
    const last = all.subarray(-vocabularySize);
    const want = await native.stream().logits(ids);
    expect(largestDifference(last, [...want])).toBeLessThan(1e-3);
    const dense = await native.stream({ pattern: { kind: 'causal' } }).logits(ids);
    expect(largestDifference(dense, [...want])).toBeGreaterThan(1e-2);
    await session.release();
  });

  it('takes batches with padding on either side', async () => {
    const { model } = await exported(PATTERN);
    const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    const [length, short] = [40, 25];
    const [first, second] = [idsOf(length), idsOf(short, 5)];
    const padding = Array<number>(length - short).fill(0);
    const dense = await exported(parsePattern('causal'));
    const denseSession = await InferenceSession.create(dense.model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    for (const [side, run, pattern] of [
      ['right', session, CAUSAL],
      // Positions of a text with padding before it begin later; attention without sinks sees distances alone.
      ['left', denseSession, { kind: 'causal' }],
    ] as const) {
      const own = side === 'right' ? [...second, ...padding] : [...padding, ...second];
      const mask = side === 'right' ? [...second.map(() => 1), ...padding] : [...padding, ...second.map(() => 1)];
      const shape = [2, length];
      const { logits } = await run.run({
        input_ids: new Tensor('int64', int64([...first, ...own]), shape),
        attention_mask: new Tensor('int64', int64([...first.map(() => 1), ...mask]), shape),
      });
      const got = logits?.data as Float32Array;
      const size = length * TINY.vocabularySize;
      expect(largestDifference(got.subarray(0, size), definition(TINY, weights, first, pattern).flat())).toBeLessThan(
        1e-3,
      );
      const start = size + (side === 'right' ? 0 : padding.length * TINY.vocabularySize);
      const real = got.subarray(start, start + short * TINY.vocabularySize);
      expect(largestDifference(real, definition(TINY, weights, second, pattern).flat())).toBeLessThan(1e-4);
    }
    await session.release();
    await denseSession.release();
  });

  it('runs in onnxruntime-web, with its weights beside it', async () => {
    const { model, externalData } = await exported(PATTERN, { externalData: 'tiny.onnx.data' });
    const inside = await exported(PATTERN);
    expect(model.length).toBeLessThan(inside.model.length / 2);
    const data = new Uint8Array(externalData?.bytes ?? 0);
    let filled = 0;
    for await (const part of externalData?.content() ?? []) {
      data.set(part, filled);
      filled += part.length;
    }
    expect(filled).toBe(data.length);
    env.wasm.numThreads = 1;
    const session = await WebSession.create(model, {
      externalData: [{ path: 'tiny.onnx.data', data }],
      logSeverityLevel: 3,
    });
    const ids = idsOf(70);
    const { logits } = await session.run({
      input_ids: new WebTensor('int64', int64(ids), [1, 70]),
      attention_mask: new WebTensor('int64', int64(ids.map(() => 1)), [1, 70]),
    });
    expect(largestDifference(logits?.data as Float32Array, definition(TINY, weights, ids, CAUSAL).flat())).toBeLessThan(
      1e-3,
    );
    await session.release();
  });
});

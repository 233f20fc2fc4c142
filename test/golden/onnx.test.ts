/** Dense models as both PyTorch exporters write them, rewritten with sparse attention; see the README of the golden files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { dispose } from '../../src/attention/index.ts';
import { exportOnnx } from '../../src/graph/export/index.ts';
import { compileBatchProgram, kernelAttention, readOnnx, rewriteAttention } from '../../src/graph/import/index.ts';
import { createNodeBackend, type Graph, type HostTensor } from '../../src/graph/index.ts';
import type { Pattern } from '../../src/pattern/index.ts';
import { casesOf, disagreement, GOLDEN, type GoldenTensor, readJson, readTensors, type Tolerance } from './folders.ts';

const FOLDER = join(GOLDEN, 'onnx');
const cases = casesOf(FOLDER);

interface Case {
  readonly tolerance: Tolerance;
  readonly notes: readonly string[];
  readonly num_attention_heads: number;
}

/** The window that case.json names, in words. */
function windowOf({ notes }: Case): Pattern {
  const text = notes.join(' ');
  const both = /\|query - key\| <= (\d+)/.exec(text)?.[1];
  if (both !== undefined) return { kind: 'window', left: Number(both), right: Number(both) };
  const past = /causal window of (\d+) keys, the query's own included/.exec(text)?.[1];
  if (past === undefined) throw new Error(`no window in ${text}`);
  return { kind: 'window', left: Number(past) - 1, right: 0 };
}

/** The rows of an output [B, N, ...] whose token is real; all of an output without rows. */
function realRows({ data, shape }: GoldenTensor, mask: GoldenTensor): Float32Array {
  if (shape.length < 3) return Float32Array.from(data);
  const width = shape[2] ?? 1;
  return Float32Array.from(data).filter((_, i) => mask.data[Math.floor(i / width)] === 1);
}

async function run(graph: Graph, feedOf: (name: string) => GoldenTensor): Promise<Record<string, HostTensor>> {
  const backend = await createNodeBackend({ threads: 1 });
  const program = await compileBatchProgram(graph, backend, { attention: kernelAttention() });
  try {
    const feeds: Record<string, HostTensor> = {};
    for (const { name } of graph.inputs) {
      const { data, shape } = feedOf(name);
      feeds[name] = { type: 'int64', data: BigInt64Array.from(data, BigInt), shape };
    }
    return await program.run(feeds);
  } finally {
    await program.release();
  }
}

/** The same as a file that only ONNX Runtime sees. */
async function runExported(graph: Graph, feedOf: (name: string) => GoldenTensor): Promise<Record<string, HostTensor>> {
  const { model } = await exportOnnx(graph);
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const feeds: Record<string, Tensor> = {};
    for (const name of session.inputNames) {
      const { data, shape } = feedOf(name);
      feeds[name] = new Tensor('int64', BigInt64Array.from(data, BigInt), shape);
    }
    const outputs = await session.run(feeds);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { data, dims }]) => [
        name,
        { type: 'float32', data: data as Float32Array, shape: dims },
      ]),
    );
  } finally {
    await session.release();
  }
}

afterAll(dispose);

describe.skipIf(cases.length === 0)('golden ONNX models', () => {
  it.each(cases)('%s: dense, at another size, and in a window', async (name) => {
    const model = await readOnnx(readFileSync(join(FOLDER, name, 'model.onnx')));
    const golden = readJson<Case>(FOLDER, name, 'case.json');
    const tensor = await readTensors(FOLDER, name, 'io.safetensors');
    const dense = rewriteAttention(model, { pattern: { kind: 'dense' } });
    const window = rewriteAttention(model, { pattern: windowOf(golden) });
    const expected = name.includes('llama') ? 'causal' : 'dense';
    expect(dense.unmatched).toEqual([]);
    expect(dense.found.map(({ pattern, heads, hasKeyMask }) => [pattern.kind, heads, hasKeyMask])).toEqual([
      [expected, golden.num_attention_heads, true],
      [expected, golden.num_attention_heads, true],
    ]);
    expect(dense.graph.nodes.filter(({ operator }) => ['Softmax', 'Attention'].includes(operator))).toEqual([]);

    for (const [graph, runs, prefix, inputs] of [
      [dense.graph, run, '', ''],
      [dense.graph, run, 'other.', 'other.'],
      [window.graph, run, 'window.', ''],
      [window.graph, runExported, 'window.', ''],
      [dense.graph, runExported, 'other.', 'other.'],
    ] as const) {
      const outputs = await runs(graph, (input) => tensor(inputs + input));
      const mask = tensor(`${inputs}attention_mask`);
      for (const [output, { data, shape }] of Object.entries(outputs)) {
        const got = { data: Float32Array.from(data as Float32Array), shape };
        const want = tensor(prefix + output);
        expect(disagreement(realRows(got, mask), realRows(want, mask), golden.tolerance), prefix + output).toBe('');
      }
    }
  });
});

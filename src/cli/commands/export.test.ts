import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { safetensorsFile } from '../../checkpoint/test-files.ts';
import { attentionGraph, HEADS, WIDTH } from '../../graph/import/test-files.ts';
import { createNodeBackend, writeOnnx } from '../../graph/index.ts';
import { definition, TINY, tinyWeights } from '../../model/testing.ts';
import { parsePattern } from '../../pattern/index.ts';
import { runCommandLine } from '../program.ts';

async function farfield(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommandLine(args, {
    stdout: { columns: 80, write: (text) => (stdout += text) },
    stderr: { columns: 80, write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'farfield-export-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function run(file: string, feeds: Record<string, Tensor>, output: string): Promise<number[]> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    return Array.from((await session.run(feeds))[output]?.data as Float32Array);
  } finally {
    await session.release();
  }
}

const largest = (a: readonly number[], b: readonly number[]): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? Number.NaN))), 0);
};

const ones = (length: number): Tensor => new Tensor('int64', new BigInt64Array(length).fill(1n), [1, length]);

describe('farfield sparsify', () => {
  it('writes a model whose attention is sparse, and says what it found', async () => {
    const [dense, sparse] = [join(folder, 'dense.onnx'), join(folder, 'sparse.onnx')];
    await writeFile(dense, await writeOnnx(attentionGraph()));
    const { code, stdout } = await farfield(
      'sparsify',
      '--model',
      dense,
      '--pattern',
      'window:3',
      '--out',
      sparse,
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      files: [sparse],
      found: [{ index: 0, operator: 'Softmax', heads: HEADS, hasKeyMask: true, pattern: parsePattern('window:3') }],
      unmatched: [],
    });
    expect((await readdir(folder)).sort()).toEqual(['dense.onnx', 'sparse.onnx']);
    const length = 20;
    const data = Float32Array.from({ length: length * HEADS * WIDTH }, (_, i) => Math.cos(i * 1.3));
    const feeds = (count: number) => ({
      x: new Tensor('float32', data.slice(0, count * HEADS * WIDTH), [1, count, HEADS * WIDTH]),
      mask: ones(count),
    });
    // Up to four tokens the window sees all; the first of twenty see the same four.
    expect(largest(await run(sparse, feeds(4), 'attended'), await run(dense, feeds(4), 'attended'))).toBeLessThan(1e-5);
    const rows = async (file: string, count: number) => (await run(file, feeds(count), 'attended')).slice(0, WIDTH);
    expect(largest(await rows(sparse, length), await rows(dense, 4))).toBeLessThan(1e-5);
    expect(largest(await rows(dense, length), await rows(dense, 4))).toBeGreaterThan(1e-3);
  });

  it('names an operator that the engine does not have, with its node', async () => {
    const graph = attentionGraph();
    const [output] = graph.outputs;
    if (output === undefined) throw new Error('the graph has an output');
    const odd = { ...output, name: 'odd' };
    const foreign = { name: 'odd_1', domain: 'my.domain', operator: 'Foo', inputs: [output.name], outputs: ['odd'] };
    const file = join(folder, 'odd.onnx');
    const opsets = new Map([
      ['', 18],
      ['my.domain', 1],
    ]);
    const nodes = [...graph.nodes, { ...foreign, attributes: {} }];
    const whole = { ...graph, nodes, opsets, values: new Map([...graph.values, ['odd', odd]]), outputs: [odd] };
    await writeFile(file, await writeOnnx(whole));
    const args = ['sparsify', '--model', file, '--pattern', 'window:3', '--out', join(folder, 'out.onnx')];
    const { code, stdout } = await farfield(...args);
    expect(code).toBe(0);
    expect(stdout).toContain('operators that stock runtimes do not have:\n  odd_1: my.domain.Foo');
    const backend = await createNodeBackend({ threads: 1 });
    await expect(backend.compile(whole)).rejects.toThrow(/my\.domain:Foo.* is not a registered .*; it is in odd_1/);
  });

  it('fails where nothing is attention, and leaves no file', async () => {
    const file = join(folder, 'none.onnx');
    const graph = attentionGraph();
    await writeFile(file, await writeOnnx({ ...graph, nodes: graph.nodes.slice(0, 1), outputs: [] }));
    const { code, stderr } = await farfield(
      'sparsify',
      '--model',
      file,
      '--pattern',
      'window:3',
      '--out',
      join(folder, 'out.onnx'),
    );
    expect(code).toBe(1);
    expect(stderr).toContain('no attention could be replaced');
    const broken = await farfield(
      'sparsify',
      '--model',
      file,
      '--pattern',
      'window:3',
      '--out',
      join(folder, 'no', 'out.onnx'),
    );
    expect(broken.code).toBe(1);
    expect(await readdir(folder)).toEqual(['none.onnx']);
  });
});

describe('farfield export', () => {
  it('writes a Llama that stock ONNX Runtime runs, its weights inside or beside it', async () => {
    const weights = tinyWeights(TINY);
    const header: Record<string, unknown> = {};
    const data: number[] = [];
    for (const [name, { shape, data: values }] of weights) {
      const start = data.length;
      data.push(...new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      header[name] = { dtype: 'F32', shape, data_offsets: [start, data.length] };
    }
    await writeFile(join(folder, 'model.safetensors'), safetensorsFile(header, Uint8Array.from(data)));
    const config = {
      model_type: 'llama',
      vocab_size: TINY.vocabularySize,
      hidden_size: TINY.hiddenSize,
      intermediate_size: TINY.intermediateSize,
      num_hidden_layers: TINY.layers,
      num_attention_heads: TINY.heads,
      num_key_value_heads: TINY.keyValueHeads,
      max_position_embeddings: TINY.context,
      rms_norm_eps: TINY.normEpsilon,
      rope_theta: TINY.rotaryBase,
      attention_bias: TINY.attentionBias,
      tie_word_embeddings: false,
    };
    await writeFile(join(folder, 'config.json'), JSON.stringify(config));
    const ids = Array.from({ length: 90 }, (_, i) => (i * 11) % 49);
    const wanted = definition(TINY, weights, ids, parsePattern('(sinks:2+window:7)&causal')).flat();
    const out = join(folder, 'tiny.onnx');
    for (const extra of [[], ['--external-data']]) {
      const { code, stdout, stderr } = await farfield(
        ...[
          'export',
          '--model',
          folder,
          '--to',
          'onnx',
          '--pattern',
          'sinks:2+window:7',
          '--out',
          out,
          '--json',
          ...extra,
        ],
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const files = extra.length === 0 ? [out] : [out, `${out}.data`];
      expect(JSON.parse(stdout)).toMatchObject({ files });
      const feeds = {
        input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, 90]),
        attention_mask: ones(90),
      };
      expect(largest(await run(out, feeds, 'logits'), wanted)).toBeLessThan(1e-4);
    }
    expect((await readFile(out)).length).toBeLessThan(100_000);
    const { code, stderr } = await farfield(
      'export',
      '--model',
      folder,
      '--pattern',
      'strided(stride=8)',
      '--out',
      out,
    );
    expect(code).toBe(1);
    expect(stderr).toContain('cannot be written in ONNX operators');
  });
});

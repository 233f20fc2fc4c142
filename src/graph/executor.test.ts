import { expect, test } from 'vitest';
import { DeviceError } from '../errors.ts';
import type { HostTensor } from './backend.ts';
import * as op from './index.ts';
import { type AttentionCallback, compileProgram, createNodeBackend, GraphBuilder, partition } from './index.ts';
import { allClose, ones, random } from './testing.ts';

const HEADS = 2;
const WIDTH = 4;
const FEATURES = HEADS * WIDTH;

/** Layers of x + attention(norm(x)) with projections, and a head of 3 features. */
function toyModel(layers = 2) {
  const graph = new GraphBuilder('toy');
  let x = graph.input('x', 'float32', ['rows', FEATURES]);
  const weight = (rows: number, columns: number, seed: number) =>
    ({ rows, columns, bits: 32, load: () => random(rows * columns, seed) }) as const;
  for (let layer = 0; layer < layers; layer++) {
    graph.scope(`layers.${layer}`, () => {
      const norm = graph.initializer('norm', 'float32', [FEATURES], () => ones(FEATURES));
      const qkv = op.linear(graph, op.rmsNorm(graph, x, norm), weight(3 * FEATURES, FEATURES, 10 + layer));
      const [q, k, v] = op.split(graph, qkv, [FEATURES, FEATURES, FEATURES], 1);
      if (q === undefined || k === undefined || v === undefined) throw new Error('split');
      const attended = op.sparseAttention(graph, {
        q,
        k,
        v,
        heads: HEADS,
        pattern: { kind: 'window', left: 2 + layer, right: 0 },
        name: 'attention',
      });
      const projected = op.linear(graph, attended, weight(FEATURES, FEATURES, 20 + layer), { name: 'o' });
      x = op.add(graph, x, projected, 'residual');
    });
  }
  graph.output(x, 'hidden');
  graph.output(op.linear(graph, x, weight(3, FEATURES, 30)), 'logits');
  return graph.build();
}

/** Windowed causal attention over all rows so far; keeps keys and values per node, as a cache does. */
function windowAttention(own = false): AttentionCallback {
  const keys = new Map<string, number[]>();
  const values = new Map<string, number[]>();
  return async (node, { rows, q, k, v, output }) => {
    const { pattern } = node;
    if (pattern.kind !== 'window') throw new Error('pattern');
    const allKeys = [...(keys.get(node.name) ?? []), ...k];
    const allValues = [...(values.get(node.name) ?? []), ...v];
    keys.set(node.name, allKeys);
    values.set(node.name, allValues);
    const first = allKeys.length / FEATURES - rows;
    const target = own ? new Float32Array(output.length) : output.fill(0);
    for (let row = 0; row < rows; row++) {
      for (let h = 0; h < HEADS; h++) {
        const from = Math.max(0, first + row - pattern.left);
        const scores: number[] = [];
        for (let j = from; j <= first + row; j++) {
          let score = 0;
          for (let d = 0; d < WIDTH; d++) {
            score += (q[row * FEATURES + h * WIDTH + d] ?? 0) * (allKeys[j * FEATURES + h * WIDTH + d] ?? 0);
          }
          scores.push(Math.exp(score * node.scale));
        }
        const total = scores.reduce((a, b) => a + b, 0);
        for (const [i, score] of scores.entries()) {
          for (let d = 0; d < WIDTH; d++) {
            const at = row * FEATURES + h * WIDTH + d;
            target[at] = (target[at] ?? 0) + (score / total) * (allValues[(from + i) * FEATURES + h * WIDTH + d] ?? 0);
          }
        }
      }
    }
    return own ? target : undefined;
  };
}

const feedsOf = (x: Float32Array): Record<string, HostTensor> => ({
  x: { type: 'float32', data: x, shape: [x.length / FEATURES, FEATURES] },
});
const numbers = (tensor: HostTensor | undefined) => Array.from(tensor?.data ?? [], Number);

test('a two-layer model is cut into three dense segments and two attention nodes', () => {
  const stages = partition(toyModel());
  expect(stages.map((stage) => stage.kind)).toEqual(['dense', 'attention', 'dense', 'attention', 'dense']);
  const [first, attention, second, , third] = stages;
  if (first?.kind !== 'dense' || second?.kind !== 'dense' || third?.kind !== 'dense') throw new Error('kinds');
  if (attention?.kind !== 'attention') throw new Error('kinds');
  expect(first.graph.inputs.map((v) => v.name)).toEqual(['x']);
  expect(first.graph.outputs).toHaveLength(3);
  expect(second.graph.inputs.map((v) => v.name).sort()).toEqual(['layers.0/attention', 'x']);
  expect(second.graph.outputs).toHaveLength(4);
  expect(third.graph.outputs.map((v) => v.name).sort()).toEqual(['hidden', 'logits']);
  expect(attention.node).toMatchObject({
    index: 0,
    heads: 2,
    keyValueHeads: 2,
    width: 4,
    valueWidth: 4,
    scale: 0.5,
    pattern: { kind: 'window', left: 2, right: 0 },
  });
});

test('a reshaped input that two segments read is made in both, and dead nodes are dropped', () => {
  const graph = new GraphBuilder('views');
  const x = graph.input('x', 'float32', ['rows', 8]);
  const scale = op.reshape(graph, graph.input('scale', 'float32', ['rows', 8]), [1, 'rows', 8], 'view');
  op.relu(graph, x, 'unread');
  const scaled = (value: op.Value) =>
    op.reshape(graph, op.mul(graph, op.reshape(graph, value, [1, 'rows', 8]), scale), ['rows', 8]);
  const q = scaled(x);
  const attended = op.sparseAttention(graph, { q, k: q, v: q, heads: 1, pattern: { kind: 'causal' } });
  graph.output(scaled(attended), 'y');
  const dense = partition(graph.build()).flatMap((stage) => (stage.kind === 'dense' ? [stage.graph] : []));
  expect(dense.map((segment) => segment.outputs.length)).toEqual([1, 1]);
  for (const segment of dense) {
    expect(segment.inputs.map((value) => value.name)).toContain('scale');
    expect(segment.nodes.map((node) => node.name)).toContain('view');
    expect(segment.nodes.map((node) => node.name)).not.toContain('unread');
  }
});

test('chunks of rows, one chunk, streaming and a row at a time give the same numbers', async () => {
  const backend = await createNodeBackend({ threads: 1 });
  const progress: string[] = [];
  const program = await compileProgram(toyModel(), backend, { onProgress: (d, t) => progress.push(`${d}/${t}`) });
  expect(progress).toEqual(['1/5', '2/5', '3/5', '4/5', '5/5']);
  const rows = 11;
  const x = random(rows * FEATURES, 1);
  const whole = await program.run(feedsOf(x), { attention: windowAttention() });
  const hidden = numbers(whole.hidden);
  const logits = numbers(whole.logits);
  expect(hidden).toHaveLength(rows * FEATURES);

  const chunked = await program.run(feedsOf(x), { rowChunk: 4, attention: windowAttention(true) });
  allClose(numbers(chunked.hidden), hidden, 1e-6);
  allClose(numbers(chunked.logits), logits, 1e-6);

  for (const size of [5, 1]) {
    const attention = windowAttention();
    const streamed: number[] = [];
    for (let from = 0; from < rows; from += size) {
      const part = x.subarray(from * FEATURES, (from + size) * FEATURES);
      streamed.push(...numbers((await program.runChunk(feedsOf(part), attention)).logits));
    }
    allClose(streamed, logits, 1e-6);
  }

  const last = await program.run(feedsOf(x), { rowChunk: 4, lastRows: 6, attention: windowAttention() });
  expect(last.logits?.shape).toEqual([6, 3]);
  allClose(numbers(last.logits), logits.slice(5 * 3), 1e-6);
  const none = await program.runChunk(feedsOf(x), windowAttention(), { lastRows: 0 });
  expect(none.logits?.shape).toEqual([0, 3]);
  const mine = { type: 'float32', data: new Float32Array(rows * 3), shape: [rows, 3] } as const;
  const given = await program.run(feedsOf(x), { attention: windowAttention(), fetches: { logits: mine } });
  expect(given.logits).toBe(mine);
  allClose(numbers(mine), logits, 1e-6);
  await program.release();
  await expect(program.run(feedsOf(x), { attention: windowAttention() })).rejects.toThrow(DeviceError);
});

test('buffers come from allocate, are shared between layers, and go back', async () => {
  const backend = await createNodeBackend({ threads: 1 });
  const live = new Set<Float32Array>();
  const program = await compileProgram(toyModel(), backend, {
    allocate: (floats) => {
      const buffer = new Float32Array(new SharedArrayBuffer(floats * 4));
      live.add(buffer);
      return buffer;
    },
    free: (buffer) => live.delete(buffer),
  });
  const x = random(7 * FEATURES, 2);
  const shared = numbers((await program.run(feedsOf(x), { rowChunk: 3, attention: windowAttention() })).logits);
  const floats = [...live].reduce((sum, buffer) => sum + buffer.length, 0);
  expect(floats).toBe(7 * program.floatsPerRow);
  // q, k, v, the attended rows and the residual of one layer, and those of the next while they are made.
  expect(program.floatsPerRow).toBeLessThanOrEqual(9 * FEATURES);
  await program.run(feedsOf(random(9 * FEATURES, 3)), { attention: windowAttention() });
  expect([...live].reduce((sum, buffer) => sum + buffer.length, 0)).toBe(9 * program.floatsPerRow);
  await program.release();
  expect(live.size).toBe(0);

  const plain = await compileProgram(toyModel(), backend);
  allClose(shared, numbers((await plain.run(feedsOf(x), { attention: windowAttention() })).logits), 1e-6);
  await plain.release();
});

test('sink logits, sink queries, softcap and scale reach the callback', async () => {
  const graph = new GraphBuilder('sinks');
  const x = graph.input('x', 'float32', ['rows', FEATURES]);
  const special = graph.input('special', 'float32', [2, FEATURES]);
  const q = op.scaleBy(graph, x, 2);
  const attended = op.sparseAttention(graph, {
    q,
    k: x,
    v: x,
    heads: HEADS,
    pattern: { kind: 'causal' },
    scale: 0.25,
    softcap: 30,
    sinkLogits: graph.initializer('sink', 'float32', [HEADS], () => Float32Array.of(3, -1)),
    sinkQuery: op.scaleBy(graph, special, -1),
  });
  graph.output(op.add(graph, attended, x), 'y');
  const program = await compileProgram(graph.build(), await createNodeBackend({ threads: 1 }));
  const input = random(5 * FEATURES, 6);
  const queries = random(2 * FEATURES, 7);
  const feeds = { ...feedsOf(input), special: { type: 'float32', data: queries, shape: [2, FEATURES] } as const };
  let calls = 0;
  const { y } = await program.run(feeds, {
    rowChunk: 2,
    attention: (node, { rows, q, k, v, sinkLogits, sinkQuery, output }) => {
      calls++;
      expect(node).toMatchObject({ scale: 0.25, softcap: 30, pattern: { kind: 'causal' } });
      expect(rows).toBe(5);
      allClose(
        q,
        input.map((value) => 2 * value),
        1e-6,
      );
      expect([...k]).toEqual([...input]);
      expect([...v]).toEqual([...input]);
      expect([...(sinkLogits ?? [])]).toEqual([3, -1]);
      allClose(
        sinkQuery ?? [],
        queries.map((value) => -value),
        1e-6,
      );
      output.fill(10);
    },
  });
  expect(calls).toBe(1);
  allClose(
    numbers(y),
    input.map((value) => value + 10),
    1e-6,
  );
  await program.release();
});

test('wrong feeds, overlapping runs and aborts are told', async () => {
  const program = await compileProgram(toyModel(), await createNodeBackend({ threads: 1 }));
  const attention = windowAttention();
  const x = random(5 * FEATURES, 4);
  await expect(program.run({}, { attention })).rejects.toThrow('feeds.x is missing');
  const narrow: HostTensor = { type: 'float32', data: x, shape: [10, 4] };
  await expect(program.run({ x: narrow }, { attention })).rejects.toThrow('feeds.x must be float32 [rows, 8]');
  const running = program.run(feedsOf(x), { attention });
  await expect(program.run(feedsOf(x), { attention })).rejects.toThrow('a run is under way');
  await running;
  const controller = new AbortController();
  const stopping = program.run(feedsOf(x), {
    signal: controller.signal,
    attention: () => controller.abort(new Error('enough')),
  });
  await expect(stopping).rejects.toThrow('enough');
  await program.run(feedsOf(x), { attention });
  await program.release();
});

test('a value that mixes rows cannot leave a segment', async () => {
  const graph = new GraphBuilder('pooled');
  const x = graph.input('x', 'float32', ['rows', 4]);
  graph.output(op.reduceSum(graph, x, { axis: 0 }), 'pooled');
  await expect(compileProgram(graph.build(), await createNodeBackend())).rejects.toThrow('computed row by row');
});

test('segments that write over what they read give the same numbers in less memory', async () => {
  const backend = await createNodeBackend({ threads: 1 });
  const graph = toyModel(3);
  const x = random(23 * FEATURES, 4);
  const results: number[][] = [];
  const sizes: number[] = [];
  for (const inPlace of [false, true]) {
    const program = await compileProgram(graph, backend, { inPlace });
    sizes.push(program.floatsPerRow);
    for (const rowChunk of [4, 23, 1024]) {
      const { hidden, logits } = await program.run(feedsOf(x), { attention: windowAttention(), rowChunk });
      results.push([hidden, logits].flatMap((output) => Array.from((output?.data ?? []) as Float32Array)));
    }
    await program.release();
  }
  for (const result of results) allClose(result, results[0] ?? [], 1e-6);
  expect(sizes[1]).toBeLessThan(sizes[0] ?? 0);
});

test('an attention node may write over its queries or its values, where nothing else reads them', async () => {
  const backend = await createNodeBackend({ threads: 1 });
  const graph = new GraphBuilder('over');
  const x = graph.input('x', 'float32', ['rows', FEATURES]);
  const [q, v] = [op.relu(graph, x), op.add(graph, x, x)];
  const options = { q, k: q, v, heads: HEADS, pattern: { kind: 'dense' } } as const;
  graph.output(op.add(graph, op.sparseAttention(graph, options), q), 'y');
  const rows = random(5 * FEATURES, 8);
  const run = async (input: 'q' | 'v' | undefined) => {
    const program = await compileProgram(graph.build(), backend, { overwrites: () => input });
    // Here every row attends to itself.
    const { y } = await program.run(feedsOf(rows), { attention: (_, { v, output }) => void output.set(v) });
    const result = [program.floatsPerRow / FEATURES, numbers(y)] as const;
    await program.release();
    return result;
  };
  const want = Array.from(rows, (value) => Math.fround(2 * value + Math.max(0, value)));
  // q, v, the output, and y in the place of v.
  expect(await run(undefined)).toEqual([3, want]);
  expect(await run('v')).toEqual([3, want]);
  expect(await run('q')).toEqual([3, want]);
});

test('streamed weights and rows that are made when they are read give the same bits, and a segment at a time is alive', async () => {
  const backend = await createNodeBackend({ threads: 1 });
  const alive = new Set<string>();
  const together = new Set<string>();
  const counting = {
    ...backend,
    compile: async (...args: Parameters<typeof backend.compile>) => {
      const [{ name }] = args;
      const session = await backend.compile(...args);
      alive.add(name);
      together.add([...alive].join('; '));
      const release = async () => {
        alive.delete(name);
        await session.release();
      };
      return { run: session.run.bind(session), compute: session.compute.bind(session), release };
    },
  };
  const x = random(10 * FEATURES, 1);
  const kept = await compileProgram(toyModel(), backend);
  const want = await kept.run(feedsOf(x), { attention: windowAttention(), rowChunk: 3 });
  const streamed = await compileProgram(toyModel(), counting, { weights: 'streamed' });
  const ranges: number[][] = [];
  const source = {
    length: 10,
    rows: async (from: number, to: number) => {
      ranges.push([from, to]);
      return x.slice(from * FEATURES, to * FEATURES);
    },
  };
  for (const feeds of [feedsOf(x), { x: source }, feedsOf(x)]) {
    const got = await streamed.run(feeds, { attention: windowAttention(), rowChunk: 3 });
    expect(numbers(got.logits)).toEqual(numbers(want.logits));
    expect(numbers(got.hidden)).toEqual(numbers(want.hidden));
  }
  // Two segments read x: the first, and the one that adds it.
  const chunks = [0, 3, 6, 9].map((from) => [from, Math.min(from + 3, 10)]);
  expect(ranges).toEqual([...chunks, ...chunks]);
  expect([...together]).toEqual([
    'toy/0',
    'toy/1, part 0',
    // The projections of queries, keys and values are the largest matrix.
    'toy/1, part 0; toy/1, part 1',
    'toy/2, part 0',
    'toy/2, part 0; toy/2, part 1',
  ]);
  expect(alive.size).toBe(0);
  const failing = { length: 10, rows: () => Promise.reject(new Error('the file is gone')) };
  await expect(streamed.run({ x: failing }, { attention: windowAttention() })).rejects.toThrow('the file is gone');
  expect(alive.size).toBe(0);
  await kept.release();
  await streamed.release();
});

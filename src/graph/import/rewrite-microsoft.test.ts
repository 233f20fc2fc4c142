import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { dispose } from '../../attention/index.ts';
import { parsePattern } from '../../pattern/index.ts';
import type { HostTensor } from '../backend.ts';
import type { GraphBuilder } from '../builder.ts';
import { exportOnnx } from '../export/index.ts';
import type { Attribute, Value } from '../ir.ts';
import { writeOnnx } from '../onnx-writer.ts';
import { hostTensor } from '../tensor-data.ts';
import { allClose } from '../testing.ts';
import { compileBatchProgram, kernelAttention, readOnnx, rewriteAttention } from './index.ts';
import { backend, compare, FEATURES, feedsOf, graphOf, HEADS, int, QKV, SIZES, WIDTH } from './test-rewrite.ts';

afterAll(dispose);

describe('com.microsoft nodes become sparse attention', () => {
  const attention = (
    graph: GraphBuilder,
    operator: string,
    inputs: (Value | undefined)[],
    attributes: Record<string, Attribute>,
    presents = 0,
  ) =>
    graph.op({
      operator,
      domain: 'com.microsoft',
      inputs,
      attributes,
      outputs: [
        { type: 'float32', shape: ['batch', 'n', FEATURES] },
        ...Array.from(
          { length: presents },
          () => ({ type: 'float32', shape: ['batch', 'groups', 'total', WIDTH] }) as const,
        ),
      ],
      name: 'attention',
    });
  const padding = hostTensor(
    'int32',
    Int32Array.from({ length: 40 }, (_, i) => (i < 20 || i < 33 ? 1 : 0)),
    [2, 20],
  );

  it('MultiHeadAttention, with a bias and a mask of keys', async () => {
    const inputs = { ...QKV, bias: ['float32', [3 * FEATURES]], mask: ['int32', ['batch', 'n']] } as const;
    const graph = graphOf(inputs, (g, { q, k, v, bias, mask }) =>
      attention(g, 'MultiHeadAttention', [q, k, v, bias, mask], { num_heads: int(HEADS) }),
    );
    const { found } = await compare(graph, feedsOf(graph, SIZES, { mask: padding }));
    expect(found[0]).toMatchObject({
      operator: 'MultiHeadAttention',
      heads: HEADS,
      hasKeyMask: true,
      pattern: { kind: 'dense' },
    });
  });

  it('MultiHeadAttention, causal, with a past and a present', async () => {
    const inputs = {
      ...QKV,
      past_k: ['float32', ['batch', HEADS, 'past', WIDTH]],
      past_v: ['float32', ['batch', HEADS, 'past', WIDTH]],
    } as const;
    const graph = graphOf(inputs, (g, { q, k, v, past_k, past_v }) =>
      attention(
        g,
        'MultiHeadAttention',
        [q, k, v, undefined, undefined, undefined, past_k, past_v],
        { num_heads: int(HEADS), unidirectional: int(1), scale: { type: 'float', value: 0.2 } },
        2,
      ),
    );
    for (const past of [0, 9]) await compare(graph, feedsOf(graph, { ...SIZES, past }));
  });

  it('Attention, with its own projections', async () => {
    const inputs = {
      x: ['float32', ['batch', 'n', 12]],
      weight: ['float32', [12, 3 * FEATURES]],
      bias: ['float32', [3 * FEATURES]],
      mask: ['int32', ['batch', 'n']],
    } as const;
    for (const unidirectional of [0, 1]) {
      const graph = graphOf(inputs, (g, { x, weight, bias, mask }) =>
        attention(g, 'Attention', [x, weight, bias, mask], {
          num_heads: int(HEADS),
          unidirectional: int(unidirectional),
        }),
      );
      const { found } = await compare(graph, feedsOf(graph, SIZES, { mask: padding }));
      expect(found[0]?.pattern.kind).toBe(unidirectional === 1 ? 'causal' : 'dense');
    }
  });

  it('GroupQueryAttention, rotating, in a window of its own, with a past', async () => {
    const groups = 2;
    const inputs = {
      q: ['float32', ['batch', 'n', FEATURES]],
      k: ['float32', ['batch', 'n', groups * WIDTH]],
      v: ['float32', ['batch', 'n', groups * WIDTH]],
      past_k: ['float32', ['batch', groups, 'past', WIDTH]],
      past_v: ['float32', ['batch', groups, 'past', WIDTH]],
      lengths: ['int32', ['batch']],
      total: ['int32', []],
      cos: ['float32', [64, WIDTH / 2]],
      sin: ['float32', [64, WIDTH / 2]],
    } as const;
    const angles = (of: (angle: number) => number) =>
      hostTensor(
        'float32',
        Float32Array.from({ length: 64 * 8 }, (_, i) => of(Math.floor(i / 8) * 0.5 ** (i % 8))),
        [64, 8],
      );
    const graph = graphOf(inputs, (g, { q, k, v, past_k, past_v, lengths, total, cos, sin }) =>
      attention(
        g,
        'GroupQueryAttention',
        [q, k, v, past_k, past_v, lengths, total, cos, sin],
        { num_heads: int(HEADS), kv_num_heads: int(groups), do_rotary: int(1), local_window_size: int(5) },
        2,
      ),
    );
    for (const past of [0, 7]) {
      const n = past === 0 ? 20 : 1;
      const given = {
        lengths: hostTensor('int32', Int32Array.of(past + n - 1, past + n - 1), [2]),
        total: hostTensor('int32', Int32Array.of(past + n), []),
        cos: angles(Math.cos),
        sin: angles(Math.sin),
      };
      const { found } = await compare(graph, feedsOf(graph, { batch: 2, n, past }, given));
      expect(found[0]?.pattern).toMatchObject({
        kind: 'intersect',
        of: [{ kind: 'causal' }, { kind: 'window', left: 4 }],
      });
    }
    const unequal = {
      lengths: hostTensor('int32', Int32Array.of(7, 4), [2]),
      total: hostTensor('int32', Int32Array.of(8), []),
      cos: angles(Math.cos),
      sin: angles(Math.sin),
    };
    const feeds = feedsOf(graph, { batch: 2, n: 1, past: 7 }, unequal);
    // Behind an entry's last key anything may stand.
    await compare(graph, feeds, { kind: 'dense' }, (name, i) => {
      const [entry, key] = [Math.floor(i / (groups * 8 * WIDTH)), Math.floor(i / WIDTH) % 8];
      return name === 'output0' || key <= (entry === 0 ? 7 : 4);
    });
    // The same as a file for ONNX Runtime alone.
    const { graph: window } = rewriteAttention(await readOnnx(await writeOnnx(graph)), {
      pattern: parsePattern('window:2'),
    });
    const program = await compileBatchProgram(window, backend, { attention: kernelAttention() });
    const wanted = await program.run(feeds);
    await program.release();
    const stock = await InferenceSession.create((await exportOnnx(window)).model, { logSeverityLevel: 3 });
    const inputsOf = Object.entries(feeds).map(([name, { type, data, shape }]) => [
      name,
      new Tensor(type as 'float32', data as Float32Array, shape),
    ]);
    const { output0 } = await stock.run(Object.fromEntries(inputsOf));
    await stock.release();
    allClose(Array.from(output0?.data as Float32Array), Array.from(wanted.output0?.data ?? [], Number), 2e-6);
  });

  it('GroupQueryAttention, whose entries have pasts of their own lengths, under sinks and by head', async () => {
    const groups = 2;
    const inputs = {
      q: ['float32', ['batch', 'n', FEATURES]],
      k: ['float32', ['batch', 'n', groups * WIDTH]],
      v: ['float32', ['batch', 'n', groups * WIDTH]],
      past_k: ['float32', ['batch', groups, 'past', WIDTH]],
      past_v: ['float32', ['batch', groups, 'past', WIDTH]],
      lengths: ['int32', ['batch']],
      total: ['int32', []],
    } as const;
    const graph = graphOf(inputs, (g, { q, k, v, past_k, past_v, lengths, total }) =>
      attention(
        g,
        'GroupQueryAttention',
        [q, k, v, past_k, past_v, lengths, total],
        { num_heads: int(HEADS), kv_num_heads: int(groups) },
        2,
      ),
    );
    const model = await readOnnx(await writeOnnx(graph));
    const [past, pasts] = [9, [9, 3]];
    for (const words of ['sinks:2+window:3', 'sinks:1|window:4|causal|sinks:2+window:1']) {
      const { graph: sparse } = rewriteAttention(model, { pattern: parsePattern(words) });
      const program = await compileBatchProgram(sparse, backend, { attention: kernelAttention() });
      const run = (batch: number, length: number, given: Record<string, HostTensor>) =>
        program.run(feedsOf(sparse, { batch, n: 2, past: length }, given));
      const total = hostTensor('int32', Int32Array.of(past + 2), []);
      const lengths = hostTensor(
        'int32',
        Int32Array.from(pasts, (own) => own + 1),
        [2],
      );
      const whole = feedsOf(sparse, { batch: 2, n: 2, past }, { total, lengths });
      const together = await run(2, past, whole);
      for (const [b, own] of pasts.entries()) {
        // The entry alone, its past cut to its length.
        const alone: Record<string, HostTensor> = {};
        for (const [name, { data, shape }] of Object.entries(whole)) {
          if (name === 'total') continue;
          const entry = Array.from(data, Number).slice((b * data.length) / 2, ((b + 1) * data.length) / 2);
          const isPast = name.startsWith('past');
          const kept = isPast ? entry.filter((_, i) => Math.floor(i / WIDTH) % past < own) : entry;
          const sides = isPast ? [1, groups, own, WIDTH] : [1, ...shape.slice(1)];
          alone[name] = hostTensor(
            name === 'lengths' ? 'int32' : 'float32',
            name === 'lengths' ? Int32Array.from(kept) : Float32Array.from(kept),
            sides,
          );
        }
        alone.total = hostTensor('int32', Int32Array.of(own + 2), []);
        const { output0 } = await run(1, own, alone);
        const rows = 2 * FEATURES;
        const got = Array.from(together.output0?.data ?? [], Number).slice(b * rows, (b + 1) * rows);
        allClose(got, Array.from(output0?.data ?? [], Number), 2e-6);
      }
      await program.release();
    }
  });
});

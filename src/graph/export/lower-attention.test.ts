import { describe, expect, it } from 'vitest';
import { expression as e, relativePositions, type ScoreModifier, t5Buckets } from '../../attention/index.ts';
import { scoreFunction } from '../../attention/score/index.ts';
import { PatternError } from '../../errors.ts';
import { allows, formatPattern, type Pattern, parsePattern } from '../../pattern/index.ts';
import type { DenseBackend, HostTensor } from '../backend.ts';
import { batchAttentionNode } from '../import/batch-attention.ts';
import type { Graph, Value } from '../ir.ts';
import { createNodeBackend } from '../onnxruntime-node-backend.ts';
import { createWebBackend } from '../onnxruntime-web-backend.ts';
import { allClose, random } from '../testing.ts';
import type { LowerOptions } from './heads-plan.ts';
import { lowerGraph } from './index.ts';

interface Sizes {
  readonly batch: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly width: number;
  readonly valueWidth: number;
}

const PLAIN: Sizes = { batch: 1, heads: 2, keyValueHeads: 2, width: 8, valueWidth: 8 };
const GROUPED: Sizes = { batch: 2, heads: 4, keyValueHeads: 2, width: 8, valueWidth: 4 };

interface Extras {
  readonly softcap?: number;
  readonly sinkLogits?: Float32Array;
  readonly hasKeyMask?: boolean;
  /** With its parameters, which become inputs of the graph; an axis of their shapes that is 0 has as many entries as there are queries. */
  readonly score?: ScoreModifier;
  readonly hasLse?: boolean;
}

/** A graph of one attention node, [B, H, N, D] to [B, H, N, E]. */
function attentionGraph(pattern: Pattern, sizes: Sizes, extras: Extras = {}): Graph {
  const { heads, keyValueHeads, width, valueWidth } = sizes;
  const q: Value = { name: 'q', type: 'float32', shape: ['batch', heads, 'queries', width] };
  const k: Value = { name: 'k', type: 'float32', shape: ['batch', keyValueHeads, 'keys', width] };
  const v: Value = { name: 'v', type: 'float32', shape: ['batch', keyValueHeads, 'keys', valueWidth] };
  const y: Value = { name: 'y', type: 'float32', shape: ['batch', heads, 'queries', valueWidth] };
  const keyMask: Value = { name: 'key_mask', type: 'bool', shape: ['batch', 'keys'] };
  const sinks: Value = { name: 'sinks', type: 'float32', shape: [heads] };
  const lse: Value = { name: 'lse', type: 'float32', shape: ['batch', heads, 'queries'] };
  const { softcap, sinkLogits, hasKeyMask = false, score, hasLse = false } = extras;
  const parameters = Object.entries(score?.parameters ?? {}).map(
    ([name, { shape }]): Value => ({
      name,
      type: 'float32',
      shape: shape.map((side) => (side === 0 ? 'queries' : side)),
    }),
  );
  const inputs = [
    ...[q, k, v],
    ...(hasKeyMask ? [keyMask] : []),
    ...(sinkLogits === undefined ? [] : [sinks]),
    ...parameters,
  ];
  const node = batchAttentionNode({
    name: 'attention',
    pattern,
    scale: 0.4,
    ...(softcap === undefined ? {} : { softcap }),
    inputs: {
      q: 'q',
      k: 'k',
      v: 'v',
      ...(hasKeyMask ? { keyMask: 'key_mask' } : {}),
      ...(sinkLogits === undefined ? {} : { sinkLogits: 'sinks' }),
    },
    ...(score === undefined
      ? {}
      : {
          scores: {
            expression: score.expression,
            parameters: Object.fromEntries(parameters.map(({ name }) => [name, name])),
          },
        }),
    output: 'y',
    ...(hasLse ? { lse: 'lse' } : {}),
  });
  const outputs = hasLse ? [y, lse] : [y];
  const values = new Map([...inputs, ...outputs].map((value) => [value.name, value]));
  return { name: 'one attention', inputs, outputs, nodes: [node], initializers: [], values };
}

interface Heads {
  readonly data: Float32Array;
  readonly shape: readonly [number, number, number, number];
}

/**
 * softmax(0.4 q k, soft-capped, then modified, over the keys that are seen and the sink) v, pair by pair in float64; 0 for a query that
 * sees none. And the logarithms of the denominators, at least -1e30.
 */
function definition(
  q: Heads,
  k: Heads,
  v: Heads,
  seen: (batch: number, head: number, query: number, key: number) => boolean,
  { softcap, sinkLogits, score: modifier }: Extras,
): { readonly output: number[]; readonly lse: number[] } {
  const modify = modifier && scoreFunction(modifier);
  const [batch, heads, queries, width] = q.shape;
  const [, groups, keys, valueWidth] = v.shape;
  const result: number[] = [];
  const lse: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const group = b * groups + Math.floor(h / (heads / groups));
      for (let i = 0; i < queries; i++) {
        const row = ((b * heads + h) * queries + i) * width;
        const own = Array.from({ length: keys }, (_, key) => key).filter((key) => seen(b, h, i, key));
        const weights = own.map((key) => {
          let score = 0;
          for (let d = 0; d < width; d++) score += 0.4 * q.data[row + d] * k.data[(group * keys + key) * width + d];
          if (softcap !== undefined) score = softcap * Math.tanh(score / softcap);
          return Math.exp(modify?.({ score, q: i + keys - queries, k: key, row: i, head: h, batch: b }) ?? score);
        });
        const sink = sinkLogits === undefined ? 0 : Math.exp(sinkLogits[h]);
        const total = weights.reduce((sum, weight) => sum + weight, sink);
        lse.push(Math.max(-1e30, Math.log(total)));
        for (let e = 0; e < valueWidth; e++) {
          const sum = own.reduce(
            (part, key, j) => part + weights[j] * v.data[(group * keys + key) * valueWidth + e],
            0,
          );
          result.push(total === 0 ? 0 : sum / total);
        }
      }
    }
  }
  return { output: result, lse };
}

/** Runs the lowered graph at several lengths and compares with the definition. */
async function check(
  backend: DenseBackend,
  pattern: Pattern,
  lengths: readonly (number | readonly [queries: number, keys: number])[],
  sizes: Sizes = PLAIN,
  extras: Extras = {},
  options: LowerOptions = {},
): Promise<void> {
  const session = await backend.compile(lowerGraph(attentionGraph(pattern, sizes, extras), options));
  const { batch, heads, keyValueHeads, width, valueWidth } = sizes;
  try {
    for (const length of lengths) {
      const [queries, keys] = typeof length === 'number' ? [length, length] : length;
      const tensor = (count: number, rows: number, columns: number, seed: number) => ({
        data: random(batch * count * rows * columns, seed),
        shape: [batch, count, rows, columns] as const,
      });
      const q = tensor(heads, queries, width, 1);
      const k = tensor(keyValueHeads, keys, width, 2);
      const v = tensor(keyValueHeads, keys, valueWidth, 3);
      const feeds: Record<string, HostTensor> = {};
      for (const [name, each] of Object.entries({ q, k, v })) feeds[name] = { type: 'float32', ...each };
      const { sinkLogits, hasKeyMask = false } = extras;
      if (sinkLogits !== undefined) feeds.sinks = { type: 'float32', data: sinkLogits, shape: [heads] };
      const mask = Uint8Array.from({ length: batch * keys }, (_, i) => (i % 7 === 3 || i % keys < i / keys ? 0 : 1));
      if (hasKeyMask) feeds.key_mask = { type: 'bool', data: mask, shape: [batch, keys] };
      const given = Object.entries(extras.score?.parameters ?? {}).map(([name, { data, shape }]) => {
        const sides = shape.map((side) => (side === 0 ? queries : side));
        const size = sides.reduce((product, side) => product * side, 1);
        return [name, { data: data.subarray(0, size), shape: sides }] as const;
      });
      for (const [name, parameter] of given) feeds[name] = { type: 'float32', ...parameter };
      const { y, lse } = await session.compute(feeds);
      const seen = (b: number, head: number, i: number, key: number) =>
        (!hasKeyMask || mask[b * keys + key] === 1) && allows(pattern, { head, q: i + keys - queries, k: key });
      const score = extras.score && { ...extras.score, parameters: Object.fromEntries(given) };
      const want = definition(q, k, v, seen, { ...extras, ...(score === undefined ? {} : { score }) });
      expect(y?.shape).toEqual([batch, heads, queries, valueWidth]);
      allClose(Array.from(y?.data ?? [], Number), want.output, 1e-5);
      if (extras.hasLse) {
        expect(lse?.shape).toEqual([batch, heads, queries]);
        allClose(Array.from(lse?.data ?? [], Number), want.lse, 1e-5);
      }
    }
  } finally {
    await session.release();
  }
}

const backend = await createNodeBackend({ threads: 1 });
const LENGTHS = [1, 2, 63, 64, 65, 130, 200];

/** Patterns without random draws and with the lengths that tell their pieces apart. */
const PATTERNS = [
  'dense',
  'causal',
  'window:5',
  'window:40&causal',
  'sinks:3+window:16&causal',
  'global:0,7,70+window:4',
  '(global:0,7,70+window:4)&causal',
];

describe('attention in standard operators is the definition', () => {
  it.each(PATTERNS)('%s at any length', async (text) => {
    await check(backend, parsePattern(text), LENGTHS);
  });

  const kinds: Pattern[] = [
    { kind: 'window', left: 6, right: 2, dilation: 3 },
    { kind: 'window', left: 0, right: 0 },
    { kind: 'blockLocal', block: 24, back: 1 },
    { kind: 'diagonals', offsets: [0, 3, 17] },
    { kind: 'prefixLm', prefix: 9 },
    { kind: 'aShape', sinks: 4, window: 20 },
    { kind: 'verticalSlash', vertical: [0, 30, 31], slash: [0, 1, 2, 50] },
    { kind: 'bigBird', block: 16, window: 3, global: 1, table: [[0], [3, 5], [1, 2], [0, 4], [7], [1, 9], [2, 12]] },
    { kind: 'blocks', block: 32, table: [[0], [0, 1], [], [1, 3], [0, 4, 5]] },
    { kind: 'global', positions: [2, 80] },
    { kind: 'global', positions: [2, 80], direction: 'queries' },
    {
      kind: 'intersect',
      of: [
        { kind: 'strided', stride: 8 },
        { kind: 'window', left: 64, right: 0 },
      ],
    },
    {
      kind: 'intersect',
      of: [
        { kind: 'complement', of: { kind: 'sinks', count: 5 } },
        { kind: 'window', left: 20, right: 9 },
      ],
    },
    { kind: 'perHead', heads: [{ kind: 'window', left: 3, right: 3 }, { kind: 'causal' }] },
    // No pair at all.
    {
      kind: 'intersect',
      of: [
        { kind: 'sinks', count: 3 },
        { kind: 'complement', of: { kind: 'sinks', count: 5 } },
      ],
    },
  ];
  it.each(kinds.map((pattern) => [JSON.stringify(pattern), pattern] as const))('%s', async (_, pattern) => {
    await check(backend, pattern, LENGTHS);
  });

  it('grouped heads, a batch, and values of another width', async () => {
    await check(backend, parsePattern('global:1,9+window:12'), [5, 64, 150], GROUPED);
    const perHead: Pattern = {
      kind: 'perHead',
      heads: [{ kind: 'window', left: 3, right: 3 }, { kind: 'causal' }, { kind: 'dense' }],
    };
    await check(backend, perHead, [5, 70], GROUPED);
  });

  it('more keys than queries: queries stand at the end', async () => {
    await check(
      backend,
      parsePattern('sinks:3+window:16&causal'),
      [
        [1, 90],
        [70, 100],
        [3, 3],
      ],
      GROUPED,
    );
    await check(backend, parsePattern('global:0,95+window:4'), [[20, 100]], GROUPED);
  });

  it('tables of blocks, whose rows do not begin where the queries do', async () => {
    const pattern: Pattern = { kind: 'blocks', block: 32, table: [[0], [0, 1], [2], [1, 3], [0, 4, 5]] };
    const lengths = [
      [70, 100],
      [1, 90],
      [33, 128],
      [20, 199],
      [100, 40],
    ] as const;
    await check(backend, pattern, lengths);
    await check(
      backend,
      { kind: 'union', of: [pattern, parsePattern('window:9')] },
      lengths,
      GROUPED,
      {},
      { chunk: 7 },
    );
  });

  it.each<Pattern>([
    { kind: 'sinks', count: 2 ** 32 + 1 },
    { kind: 'columns', start: 1, count: 2 ** 32 },
    { kind: 'columns', start: 1, count: 3, period: 2 ** 32 },
    { kind: 'blockLocal', block: 2 ** 33, back: 2 ** 32 },
  ])('%j, whose numbers no text reaches', async (pattern) => {
    await check(backend, { kind: 'intersect', of: [pattern, parsePattern('window:5')] }, [9, 70]);
  });

  it('key masks, soft caps and sink logits', async () => {
    const sinkLogits = Float32Array.of(0.5, -1, 2, 0);
    const pattern = parsePattern('global:1+window:6');
    await check(backend, pattern, [9, 100], GROUPED, { hasKeyMask: true });
    await check(backend, pattern, [9, 100], GROUPED, { softcap: 0.7, sinkLogits });
    await check(backend, pattern, [70], PLAIN, { hasKeyMask: true, sinkLogits: sinkLogits.subarray(0, 2) });
    // Rows whose only keys are masked give zeros.
    await check(backend, parsePattern('window:0'), [20], GROUPED, { hasKeyMask: true });
  });

  it('score modifiers', async () => {
    const table = (rows: number, columns: number) => ({ data: random(rows * columns, 7), shape: [rows, columns] });
    const pattern = parsePattern('global:1+window:6');
    for (const bidirectional of [true, false]) {
      const score = t5Buckets({ table: table(16, 4), bidirectional, maxDistance: 40 });
      await check(backend, pattern, [9, 100, [5, 70]], GROUPED, { score, hasKeyMask: true });
    }
    const score = relativePositions(table(2, 7));
    await check(backend, parsePattern('causal'), [1, 90, [3, 80]], PLAIN, { score, softcap: 0.7 });
    const perHead: Pattern = { kind: 'perHead', heads: [parsePattern('window:3'), parsePattern('causal')] };
    await check(backend, perHead, [70], GROUPED, { score: t5Buckets({ table: table(16, 4), bidirectional: true }) });
  });

  it('score modifiers with parameters as long as the text, and with every kind of part', async () => {
    const kinds: ScoreModifier = {
      expression: e.add(
        e.select(e.notEqual(e.lookup('kinds', e.batch, e.row), 1), e.mul(e.score, 0.5), e.neg(e.score)),
        e.add(
          e.mul(e.less(e.q, e.k), e.exp(e.neg(e.abs(e.sub(e.q, e.k))))),
          e.div(e.tanh(e.floor(e.log(e.add(e.max(e.min(e.k, e.q), 0), 1)))), e.add(e.head, 2)),
        ),
      ),
      parameters: { kinds: { data: Float32Array.from({ length: 400 }, (_, i) => i % 3), shape: [2, 0] } },
    };
    for (const pattern of ['window:9', 'dense'])
      await check(backend, parsePattern(pattern), [5, 100, [70, 90]], GROUPED, { score: kinds });
  });

  it('score modifiers that are infinite, or no numbers where a pair is not allowed', async () => {
    // -Infinity where k = q, NaN behind; the first query sees nothing.
    const nearer: ScoreModifier = { expression: e.add(e.score, e.log(e.sub(e.q, e.k))), parameters: {} };
    await check(backend, parsePattern('window:3&causal'), [1, 70], GROUPED, { score: nearer, hasLse: true });
    await check(backend, parsePattern('causal'), [70], GROUPED, { score: nearer, hasKeyMask: true });
    const bias = { data: Float32Array.of(-Infinity, -Infinity, -Infinity, 0), shape: [4] };
    const masked: ScoreModifier = { expression: e.add(e.score, e.lookup('bias', e.k)), parameters: { bias } };
    await check(backend, parsePattern('dense'), [2, 70], PLAIN, { score: masked });
    // An index of Infinity is the last entry.
    const table = { data: random(6, 7), shape: [6] };
    const last: ScoreModifier = {
      expression: e.add(e.score, e.lookup('table', e.div(1, e.sub(e.q, e.k)))),
      parameters: { table },
    };
    await check(backend, parsePattern('causal'), [9], PLAIN, { score: last });
  });

  it('log-sum-exps', async () => {
    const score = t5Buckets({ table: { data: random(64, 7), shape: [16, 4] }, bidirectional: true, maxDistance: 40 });
    await check(backend, parsePattern('global:1+window:6'), [9, 100], GROUPED, {
      hasLse: true,
      hasKeyMask: true,
      score,
    });
    await check(backend, parsePattern('window:0'), [20], GROUPED, { hasLse: true, hasKeyMask: true });
    await check(backend, parsePattern('window:3|causal'), [70, [3, 40]], PLAIN, { hasLse: true, softcap: 0.7 });
    // Fewer keys than queries, as summaries of blocks are.
    await check(backend, parsePattern('dense'), [[90, 4]], PLAIN, { hasLse: true });
  });

  it('random blocks up to a maximum length', async () => {
    const pattern: Pattern = { kind: 'bigBird', block: 16, window: 3, global: 1, random: 2, seed: 5, perHead: true };
    await check(backend, pattern, [40, 200, 256], PLAIN, {}, { maximumLength: 256 });
  });

  it('chunks of any size', async () => {
    for (const chunk of [1, 7, 300]) {
      await check(backend, parsePattern('global:0,7+window:9'), [1, 50], PLAIN, {}, { chunk });
    }
  });

  it('in onnxruntime-web', async () => {
    const web = await createWebBackend({ threads: 1 });
    await check(web, parsePattern('global:1,9+window:12'), [5, 150], GROUPED, { hasKeyMask: true });
    await check(web, { kind: 'bigBird', block: 16, window: 3, global: 1, table: [[0], [3], [1]] }, [60], GROUPED);
    const score = t5Buckets({ table: { data: random(64, 7), shape: [16, 4] }, bidirectional: true, maxDistance: 40 });
    await check(web, parsePattern('window:12'), [150], GROUPED, { score, hasLse: true, hasKeyMask: true });
  });
});

describe('patterns that are no pieces of fixed size are refused by name', () => {
  it.each<[string, Pattern]>([
    ['strided', { kind: 'strided', stride: 8 }],
    ['fixed', { kind: 'fixed', stride: 8, summary: 1 }],
    ['columns', { kind: 'columns', start: 0, count: 1, period: 4 }],
    ['bigBird', { kind: 'bigBird', block: 16, window: 3, global: 1, random: 2, seed: 5 }],
    ['documents', { kind: 'documents', lengths: [3, 4] }],
  ])('%s', (_, pattern) => {
    expect(() => lowerGraph(attentionGraph(pattern, PLAIN))).toThrow(PatternError);
    const named = `${formatPattern(pattern)} cannot be written in ONNX operators`;
    expect(() => lowerGraph(attentionGraph(pattern, PLAIN))).toThrow(named);
  });
});

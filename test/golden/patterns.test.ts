/** Compiled patterns against the masks and layouts that other implementations made: golden/kernels. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Build,
  createDevice,
  referenceAttention,
  referenceGradients,
  type Tensor,
  type WasmDevice,
} from '../../src/attention/index.ts';
import { type BlockMask, compileMask, type Refinement, refineMask, toBsr, toDense } from '../../src/mask/index.ts';
import {
  axial,
  ball,
  bigBird,
  blockLocal,
  causal,
  columns,
  deepSpeedBigBird,
  deepSpeedBSLongformer,
  deepSpeedFixed,
  deepSpeedLocalSlidingWindow,
  deepSpeedVariable,
  documents,
  fixed,
  globalTokens,
  intersect,
  neighbourhood,
  type Pattern,
  perHead,
  prefixLm,
  rows,
  shift,
  shiftedWindows,
  slidingTile,
  strided,
  union,
  window,
} from '../../src/pattern/index.ts';
import { disagreement, GOLDEN, readJson, readTensors, type Tolerance } from './folders.ts';

const KERNELS = join(GOLDEN, 'kernels');

type Read = Awaited<ReturnType<typeof readTensors>>;
type Tables = readonly (readonly (readonly number[])[])[];

/** The heads of a pattern written out, [H, N, M]. */
function written(pattern: Pattern, heads: number, queries: number, keys = queries): number[] {
  const mask = compileMask(pattern, { queries, keys, heads });
  return Array.from({ length: heads }, (_, head) => [...toDense(mask, head)]).flat();
}

/** A tensor [a, b, c] as nested lists. */
function nested({ shape, data }: ReturnType<Read>): Tables {
  const [a = 0, b = 0, c = 0] = shape;
  return Array.from({ length: a }, (_, i) =>
    Array.from({ length: b }, (_, j) => [...data.slice((i * b + j) * c, (i * b + j + 1) * c)]),
  );
}

/** 1 for each block of a head in which a pair is allowed. */
function layoutOf(mask: BlockMask, head: number, block: number): number[] {
  const { rowStart, columns } = toBsr(mask, head, block);
  const count = Math.ceil(mask.keys / block);
  return Array.from({ length: rowStart.length - 1 }, (_, i) => {
    const row = [...columns.subarray(rowStart[i], rowStart[i + 1])];
    return Array.from({ length: count }, (_, j) => Number(row.includes(j)));
  }).flat();
}

const numbers = (tensor: ReturnType<Read>): number[] => [...tensor.data];

describe.skipIf(!existsSync(KERNELS))('golden/kernels', () => {
  const flex: [string, (read: Read) => Pattern][] = [
    ['flex_strided', () => strided(12)],
    ['flex_fixed', () => fixed({ stride: 16, summary: 3 })],
    ['flex_block_local', () => blockLocal({ block: 16 })],
    ['flex_block_local_causal_back1', () => intersect(causal(), blockLocal({ block: 16, back: 1 }))],
    ['flex_bigbird', (read) => bigBird({ block: 8, global: 1, tables: nested(read('random_blocks')) })],
    [
      'flex_bigbird_causal',
      (read) => intersect(causal(), bigBird({ block: 8, global: 1, tables: nested(read('random_blocks')) })),
    ],
    ['flex_axial_row', () => axial({ grid: [9, 11], axes: [1] })],
    ['flex_axial_column', () => axial({ grid: [9, 11], axes: [0] })],
    ['flex_axial_cross', () => axial({ grid: [7, 13], axes: [0, 1] })],
    ['flex_neighbourhood_2d', () => neighbourhood({ grid: [9, 10], radius: 2 })],
    ['flex_document', () => documents({ lengths: [1, 40, 13, 56] })],
    ['flex_document', (read) => documents({ ids: numbers(read('document_ids')) })],
    ['flex_document', (read) => ({ kind: 'groups', ids: numbers(read('document_ids')) })],
    ['flex_document_causal', () => intersect(documents({ lengths: [31, 2, 64, 13] }), causal())],
  ];
  it.each(flex)('%s', async (name, pattern) => {
    const read = await readTensors(KERNELS, name, 'io.safetensors');
    const { shape } = read('mask');
    const [n = 0] = shape.slice(-1);
    const heads = shape.length === 4 ? (shape[1] ?? 0) : 1;
    expect(written(pattern(read), heads, n)).toEqual(numbers(read('mask')));
  });

  it('flex_prefix_lm', async () => {
    const mask = (await readTensors(KERNELS, 'flex_prefix_lm', 'io.safetensors'))('mask');
    expect([...written(prefixLm(23), 1, 90), ...written(prefixLm(0), 1, 90)]).toEqual(numbers(mask));
  });

  const deepspeed: [string, (options: never) => Pattern][] = [
    ['deepspeed_fixed', deepSpeedFixed],
    ['deepspeed_variable', deepSpeedVariable],
    ['deepspeed_bigbird', deepSpeedBigBird],
    ['deepspeed_bslongformer', deepSpeedBSLongformer],
    ['deepspeed_local', deepSpeedLocalSlidingWindow],
  ];
  it.each(deepspeed)('%s', async (name, layout) => {
    const { params } = readJson<{ params: { sets: Record<string, unknown>[]; rejected?: object[] } }>(
      KERNELS,
      name,
      'case.json',
    );
    const read = await readTensors(KERNELS, name, 'io.safetensors');
    for (const set of params.sets) {
      const { tensor, random_tensor, seq_len, block, num_heads } = set as Record<string, string> & {
        seq_len: number;
        block: number;
        num_heads: number;
      };
      const random_columns = random_tensor === undefined ? {} : { random_columns: nested(read(random_tensor)) };
      const pattern = layout({ ...set, ...random_columns } as never);
      // Every layout at its own block side, and as the tokens that its blocks cover.
      const count = seq_len / block;
      const layouts = pattern.kind === 'perHead' ? pattern.heads : [pattern];
      const got = Array.from({ length: num_heads }, (_, head) => {
        const own = layouts[head % layouts.length];
        if (own?.kind !== 'blocks') throw new Error('not a layout');
        return own.table.flatMap((row) => Array.from({ length: count }, (_, j) => (row.includes(j) ? 1 : 0)));
      }).flat();
      const want = numbers(read(tensor ?? ''));
      expect([tensor, got]).toEqual([tensor, want]);
      const tokens = written(pattern, num_heads, seq_len);
      const coarse = want.map((_, e) => {
        const [head, i, j] = [Math.floor(e / count ** 2), Math.floor(e / count) % count, e % count];
        return tokens[(head * seq_len + i * block + block - 1) * seq_len + j * block] ?? -1;
      });
      expect([tensor, coarse]).toEqual([tensor, want]);
    }
    for (const rejected of params.rejected ?? []) {
      // More random blocks than columns is an error in DeepSpeed, all columns here; a window of all blocks is fine.
      if ((rejected as { error: string }).error.includes('Sample larger')) continue;
      expect(() => layout(rejected as never)).toThrow(/deepSpeed.* is .*must/);
    }
  });

  it('openai_token_masks', async () => {
    const { params } = readJson<{ params: { tensor: string; attn_mode: string; n: number; local_attn_ctx: number }[] }>(
      KERNELS,
      'openai_token_masks',
      'case.json',
    );
    const read = await readTensors(KERNELS, 'openai_token_masks', 'io.safetensors');
    for (const { tensor, attn_mode, n, local_attn_ctx: context } of params) {
      const pattern =
        attn_mode === 'all'
          ? causal()
          : attn_mode === 'local'
            ? window({ left: context - 1 })
            : window({ left: n, dilation: context });
      expect([tensor, written(pattern, 1, n)]).toEqual([tensor, numbers(read(tensor))]);
    }
  });

  it('openai_blocksparse, fixed, with summary columns of each head', async () => {
    const read = await readTensors(KERNELS, 'openai_blocksparse', 'io.safetensors');
    const sets = [
      { tensor: 'mask_0', n: 64, heads: 1, pattern: causal() },
      { tensor: 'mask_3', n: 128, heads: 1, pattern: window({ left: 128, dilation: 8 }) },
      // In the order of residue classes, each of which is a block then.
      { tensor: 'mask_transposed_2', n: 128, heads: 1, pattern: intersect(causal(), blockLocal({ block: 8 })) },
      { tensor: 'mask_transposed_3', n: 128, heads: 1, pattern: intersect(causal(), blockLocal({ block: 16 })) },
      { tensor: 'mask_4', n: 128, heads: 1, pattern: fixed({ stride: 32, summary: 8 }) },
      { tensor: 'mask_5', n: 128, heads: 4, pattern: fixed({ stride: 32, summary: 8, heads: 4 }) },
      { tensor: 'mask_6', n: 144, heads: 4, pattern: fixed({ stride: 48, summary: 24, heads: 2 }) },
      { tensor: 'mask_1', n: 96, heads: 1, pattern: window({ left: 23 }) },
      { tensor: 'mask_2', n: 128, heads: 1, pattern: window({ left: 128, dilation: 16 }) },
    ];
    for (const { tensor, n, heads, pattern } of sets) {
      expect([tensor, written(pattern, heads, n)]).toEqual([tensor, numbers(read(tensor))]);
      if (tensor === 'mask_2' || tensor === 'mask_3') continue;
      // The layout is that of the blocks which the mask touches; for strided attention in the order of classes.
      const mask = compileMask(pattern, { queries: n, keys: n, heads });
      const layout = Array.from({ length: heads }, (_, head) => layoutOf(mask, head, 8)).flat();
      const name = tensor.replace(/mask(_transposed)?/, 'layout');
      expect([name, layout]).toEqual([name, numbers(read(name))]);
    }
  });

  it('xformers_patterns pattern_08: the blocks that cover a mask', async () => {
    const read = await readTensors(KERNELS, 'xformers_patterns', 'io.safetensors');
    const mask = compileMask(window(4), { queries: 48, keys: 48, heads: 1 });
    expect([...toDense(mask, 0)]).toEqual(numbers(read('input_08')));
    expect(layoutOf(mask, 0, 8)).toEqual(numbers(read('pattern_08')));
  });

  /** Block diffusion: the noised text stands before the clean one, both of n tokens. */
  const blockDiffusion = (n: number, block: number): Pattern => {
    const own = blockLocal({ block });
    const [noised, clean] = [rows({ count: n }), rows({ start: n, count: n })];
    const [toNoised, toClean] = [columns({ count: n }), columns({ start: n, count: n })];
    const before = blockLocal({ block, back: n });
    return union(
      intersect(noised, toNoised, own),
      intersect(noised, shift(intersect(before, { kind: 'complement', of: own }), { keys: n })),
      intersect(clean, toClean, before),
    );
  };
  const others: [string, string, number, Pattern][] = [
    ['attention_gym_masks', 'mask_05', 36, documents({ lengths: [5, 1, 20, 10] })],
    ['attention_gym_masks', 'mask_06', 36, intersect(causal(), documents({ lengths: [5, 1, 20, 10] }))],
    ['attention_gym_masks', 'mask_07', 36, intersect(window({ left: 4 }), documents({ lengths: [12, 24] }))],
    ['attention_gym_masks', 'mask_08', 81, neighbourhood({ grid: [9, 9], radius: 2, border: 'clamp' })],
    ['attention_gym_masks', 'mask_09', 49, neighbourhood({ grid: [7, 7], radius: 3, border: 'clamp' })],
    [
      'attention_gym_masks',
      'mask_10',
      96,
      neighbourhood({ grid: [8, 12], radius: [1, 2], border: 'clamp', tile: [2, 4] }),
    ],
    ['attention_gym_masks', 'mask_11', 77, slidingTile({ grid: [6, 12], tile: [2, 4], kernel: [6, 8], text: 5 })],
    ['attention_gym_masks', 'mask_12', 64, slidingTile({ grid: [8, 8], tile: [2, 2], kernel: [6, 4] })],
    ['attention_gym_masks', 'mask_13', 48, blockDiffusion(24, 6)],
    [
      'attention_gym_masks',
      'mask_14',
      30,
      union(
        intersect(causal(), documents({ lengths: [8, 5, 7, 4, 6] })),
        // Documents 1 and 2 continue document 0; document 4 continues document 3.
        intersect(rows({ start: 8, count: 12 }), columns({ count: 8 })),
        intersect(rows({ start: 24, count: 6 }), columns({ start: 20, count: 4 })),
      ),
    ],
    ['attention_gym_masks', 'mask_15', 33, intersect(causal(), blockLocal({ block: 8 }))],
    ['xformers_patterns', 'pattern_00', 40, axial({ grid: [5, 8], axes: [0, 1] })],
    ['xformers_patterns', 'pattern_02', 42, ball({ grid: [6, 7], distance: 2.5 })],
    ['xformers_patterns', 'pattern_03', 42, ball({ grid: [6, 7], distance: 3, p: 1 })],
    [
      'xformers_patterns',
      'pattern_04',
      48,
      // Rows and columns apart by multiples of 3: a dilated neighbourhood that reaches over the whole grid.
      neighbourhood({ grid: [6, 8], radius: 8, dilation: 3 }),
    ],
    ['xformers_patterns', 'pattern_05', 64, shiftedWindows({ grid: [8, 8], window: 4 })],
    ['xformers_patterns', 'pattern_06', 64, shiftedWindows({ grid: [8, 8], window: 4, shift: 2 })],
    ['xformers_patterns', 'pattern_07', 54, shiftedWindows({ grid: [6, 9], window: 3, shift: 1 })],
    ['xformers_patterns', 'pattern_09', 30, globalTokens({ positions: [2, 17] })],
  ];
  it.each(others)('%s %s', async (name, tensor, n, pattern) => {
    const read = await readTensors(KERNELS, name, 'io.safetensors');
    expect(written(pattern, 1, n)).toEqual(numbers(read(tensor)));
  });

  it.each(['longformer_dilated', 'longformer_dilated_autoregressive', 'longformer_dilated_per_head'])(
    '%s',
    async (name) => {
      const { params } = readJson<{
        params: {
          n: number;
          H: number;
          one_sided_window: number;
          dilation: number | number[];
          autoregressive: boolean;
        };
      }>(KERNELS, name, 'case.json');
      const { n, H, one_sided_window: left, dilation, autoregressive } = params;
      const read = await readTensors(KERNELS, name, 'io.safetensors');
      const dilations = typeof dilation === 'number' ? [dilation] : dilation;
      const right = autoregressive ? 0 : left;
      const pattern = perHead(dilations.map((own) => window({ left, right, dilation: own })));
      const got = written(pattern, H, n);
      // Column j of a row i stands for key i + dilation (j - left); its probability is 0 where there is no such key.
      const { data: probabilities, shape } = read('probs');
      const steps = shape[3] ?? 0;
      const want = new Array<number>(H * n * n).fill(0);
      for (let i = 0; i < n; i++) {
        for (let head = 0; head < H; head++) {
          for (let j = 0; j < steps; j++) {
            const key = i + (dilations[head % dilations.length] ?? 1) * (j - left);
            if ((probabilities[(i * H + head) * steps + j] ?? 0) > 0) want[(head * n + i) * n + key] = 1;
          }
        }
      }
      expect(got).toEqual(want);
    },
  );
});

describe.skipIf(!existsSync(KERNELS))('masks refined for each batch entry, through attention()', () => {
  const devices: WasmDevice[] = [];
  beforeAll(async () => {
    for (const build of ['baseline', 'relaxed'] satisfies Build[])
      devices.push(await createDevice({ build, threads: 2 }));
  });
  afterAll(async () => {
    for (const device of devices) await device.dispose();
  });

  const ids = (read: Read, batches: number): number[][] =>
    Array.from({ length: batches }, () => numbers(read('document_ids')));
  const cases: [string, Pattern, (read: Read) => Refinement][] = [
    ['flex_padding_all', window(4), () => ({ lengths: [50, 20, 0] })],
    ['flex_padding_left', causal(), () => ({ lengths: [66, 57, 26], padding: 'left' })],
    ['flex_document', window(200), (read) => ({ documents: ids(read, 2) })],
    ['flex_document_causal', causal(), (read) => ({ documents: ids(read, 2) })],
    ['flex_prefix_lm', causal(), () => ({ prefixes: [23, 0] })],
  ];
  it.each(cases)('%s', async (name, pattern, refinement) => {
    const { params, tolerance } = readJson<{
      params: { L: number; S: number; Hq: number };
      tolerance: Record<string, Tolerance>;
    }>(KERNELS, name, 'case.json');
    const read = await readTensors(KERNELS, name, 'io.safetensors');
    const tensor = (key: string): Tensor => {
      const { shape, data } = read(key);
      return { data: data as Float32Array, shape: shape as [number, number, number, number] };
    };
    const mask = refineMask(
      compileMask(pattern, { queries: params.L, keys: params.S, heads: params.Hq }),
      refinement(read),
    );
    const hasGradLse = name === 'flex_padding_left';
    const options = { q: tensor('q'), k: tensor('k'), v: tensor('v'), mask };
    const backward = {
      gradOutput: tensor('grad_out'),
      ...(hasGradLse ? { gradLse: read('grad_lse').data as Float32Array } : {}),
    };
    const check = (where: string, got: Record<string, ArrayLike<number>>): void => {
      for (const [key, values] of Object.entries(got)) {
        const own = tolerance[key] ?? { atol: 0, rtol: 0 };
        expect([where, key, disagreement(values, read(key).data, own)]).toEqual([where, key, '']);
      }
    };
    const reference = referenceAttention(options);
    const { gradQ, gradK, gradV } = referenceGradients({ ...options, ...backward });
    check('reference', { out: reference.output, lse: reference.lse, dq: gradQ, dk: gradK, dv: gradV });
    for (const device of devices) {
      const { output, lse } = await device.attention(options);
      const gradients = await device.attentionGradients({ ...options, ...backward, output, lse });
      check(device.build, {
        out: output.data,
        lse,
        dq: gradients.gradQ.data,
        dk: gradients.gradK.data,
        dv: gradients.gradV.data,
      });
    }
    const q = { ...options.q, data: options.q.data.subarray(0, options.q.data.length / (mask.batch?.length ?? 1)) };
    const one = { ...q, shape: [1, ...q.shape.slice(1)] as [number, number, number, number] };
    await expect(devices[0]?.attention({ q: one, k: one, v: one, mask })).rejects.toThrow(
      /refined for \d batch entries/,
    );
  });
});

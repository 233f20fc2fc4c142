/** attention() against FlexAttention's numbers, its masks from patterns: every such case of golden/kernels. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attention, type Build, createDevice, referenceAttention, type WasmDevice } from '../../src/attention/index.ts';
import { DeviceError } from '../../src/errors.ts';
import { compileMask, refineMask } from '../../src/mask/index.ts';
import { dense } from '../../src/pattern/index.ts';
import { type FlexMask, type FlexScore, flexPattern, flexScore } from './flex.ts';
import { casesOf, disagreement, GOLDEN, readJson, readTensors, type Tolerance } from './folders.ts';

const KERNELS = join(GOLDEN, 'kernels');

interface Case {
  readonly params: {
    readonly B: number;
    readonly Hq: number;
    readonly L: number;
    readonly S: number;
    readonly scale: number | null;
    readonly mask: FlexMask;
    readonly score: FlexScore;
  };
  readonly tolerance: { readonly out: Tolerance; readonly lse: Tolerance };
}

/** Tested beside this file (patterns, axial, gradients), and in src/mask/analysis: masks, layouts, layers and measures. */
const ELSEWHERE = /^(attention_gym|axial|deepspeed|graph_metrics|longformer_dilated|openai|xformers)/;

describe.skipIf(!existsSync(KERNELS))('golden/kernels', () => {
  const devices = new Map<Build, WasmDevice>();
  beforeAll(async () => {
    for (const build of ['baseline', 'relaxed', 'merged'] as const) {
      try {
        devices.set(build, await createDevice({ build, threads: 2 }));
      } catch (error) {
        if (!(error instanceof DeviceError)) throw error;
      }
    }
    expect(devices.has('baseline')).toBe(true);
  });
  afterAll(async () => {
    for (const device of devices.values()) await device.dispose();
  });

  for (const name of casesOf(KERNELS).filter((own) => !ELSEWHERE.test(own))) {
    if (!name.startsWith('flex_')) {
      it.skip(`${name} (not a case of attention())`);
      continue;
    }
    it(name, async () => {
      const { params, tolerance } = readJson<Case>(KERNELS, name, 'case.json');
      const tensor = await readTensors(KERNELS, name, 'io.safetensors');
      const input = (key: string) => {
        const { shape, data } = tensor(key);
        return { data: data as Float32Array, shape: shape as [number, number, number, number] };
      };
      const { B, Hq: heads, L: queries, S: keys, mask: flex } = params;
      const sizes = { queries, keys, heads, queryOffset: flex.offset ?? 0 };
      const patterns = Array.from({ length: B }, (_, b) => flexPattern(flex, keys, b, tensor));
      const differ = new Set(patterns.map((pattern) => JSON.stringify(pattern))).size > 1;
      const mask = differ
        ? refineMask(compileMask(dense(), sizes), { within: patterns })
        : compileMask(patterns[0], sizes);
      const score = flexScore(params.score, queries, tensor);
      const options = {
        q: input('q'),
        k: input('k'),
        v: input('v'),
        mask,
        ...(params.scale === null ? {} : { scale: params.scale }),
        ...(score ? { score } : {}),
      };
      const check = (where: string, got: { output: ArrayLike<number>; lse: ArrayLike<number> }) => {
        expect([where, disagreement(got.output, tensor('out').data, tolerance.out)]).toEqual([where, '']);
        expect([where, disagreement(got.lse, tensor('lse').data, tolerance.lse)]).toEqual([where, '']);
      };
      const reference = referenceAttention(options);
      check('reference', reference);
      for (const [build, device] of devices) {
        const { output, lse } = await attention({ ...options, device });
        check(build, { output: output.data, lse });
      }
    });
  }
});

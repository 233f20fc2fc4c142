/** attention() against FlexAttention's numbers: every case of golden/kernels whose mask and score Farfield has. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attention, type Build, createDevice, referenceAttention, type WasmDevice } from '../../src/attention/index.ts';
import { DeviceError } from '../../src/errors.ts';
import { compileMask } from '../../src/mask/index.ts';
import {
  causal,
  dense,
  globalTokens,
  intersect,
  type Pattern,
  perHead,
  sinks,
  union,
  window,
} from '../../src/pattern/index.ts';
import { casesOf, disagreement, GOLDEN, readJson, readTensors, type Tolerance } from './folders.ts';

const KERNELS = join(GOLDEN, 'kernels');

/** As make_flex.py writes them. */
interface Mask {
  readonly type: string;
  readonly of?: readonly Mask[];
  readonly offset?: number;
  readonly left?: number;
  readonly right?: number;
  readonly dilation?: number;
  readonly dilations?: readonly number[];
  readonly windows?: readonly number[];
  readonly sinks?: number;
  readonly one_sided?: number;
  readonly global_tokens?: readonly number[];
}

interface Case {
  readonly params: {
    readonly B: number;
    readonly Hq: number;
    readonly L: number;
    readonly S: number;
    readonly scale: number | null;
    readonly mask: Mask;
    readonly score: { readonly type: string; readonly cap?: number };
  };
  readonly tolerance: { readonly out: Tolerance; readonly lse: Tolerance };
}

/** The pattern of a mask, or undefined where the algebra has none (yet). */
function patternOf(mask: Mask): Pattern | undefined {
  const { left = 0, right = 0, dilation = 1 } = mask;
  const parts = (mask.of ?? []).map(patternOf);
  const known = parts.filter((part) => part !== undefined);
  const allKnown = known.length === parts.length && known.length > 0;
  switch (mask.type) {
    case 'full':
      return dense();
    case 'causal':
      return causal();
    case 'window':
      return window({ left, right });
    case 'dilated':
      return window({ left, right, dilation });
    case 'dilated_per_head':
      return perHead((mask.dilations ?? []).map((own) => window({ left, right, dilation: own })));
    case 'window_per_head':
      return perHead((mask.windows ?? []).map((own) => window(own)));
    case 'sink':
      return sinks(mask.sinks ?? 0);
    case 'longformer':
      return union(window(mask.one_sided ?? 0), globalTokens({ positions: mask.global_tokens ?? [] }));
    case 'and':
      return allKnown ? intersect(...known) : undefined;
    case 'or':
      return allKnown ? union(...known) : undefined;
    default:
      return undefined;
  }
}

/** Why a case cannot run; '' where it can. */
function reasonToSkip(name: string): string {
  if (!name.startsWith('flex_')) return 'not a case of attention()';
  const { params } = readJson<Case>(KERNELS, name, 'case.json');
  if (!['none', 'softcap'].includes(params.score.type)) return `score ${params.score.type}`;
  return patternOf(params.mask) === undefined ? `mask ${JSON.stringify(params.mask).slice(0, 60)}` : '';
}

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

  for (const name of casesOf(KERNELS)) {
    const reason = reasonToSkip(name);
    if (reason !== '') {
      it.skip(`${name} (${reason})`);
      continue;
    }
    it(name, async () => {
      const { params, tolerance } = readJson<Case>(KERNELS, name, 'case.json');
      const tensor = await readTensors(KERNELS, name, 'io.safetensors');
      const input = (key: string) => {
        const { shape, data } = tensor(key);
        return { data: data as Float32Array, shape: shape as [number, number, number, number] };
      };
      const pattern = patternOf(params.mask);
      if (pattern === undefined) throw new Error('no pattern');
      const mask = compileMask(pattern, {
        queries: params.L,
        keys: params.S,
        heads: params.Hq,
        queryOffset: params.mask.offset ?? 0,
      });
      const options = {
        q: input('q'),
        k: input('k'),
        v: input('v'),
        mask,
        ...(params.scale === null ? {} : { scale: params.scale }),
        ...(params.score.cap === undefined ? {} : { softcap: params.score.cap }),
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

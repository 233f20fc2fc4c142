import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BITMAP_WORDS, BLOCK_SIDE, type BlockMask, FULL_BLOCK } from '../mask/index.ts';
import {
  type AttentionOptions,
  alibi,
  composeScores,
  createDevice,
  headScale,
  referenceGradients,
  relativePositions,
  type ScoreModifier,
  softcap,
  type Tensor,
  t5Buckets,
  type WasmDevice,
} from './index.ts';
import { candidateBuilds } from './wasm/choose-build.ts';
import { findPlatform } from './wasm/platform.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(process.env.FARFIELD_GOLDEN ?? join(root, '../shared/golden'), 'kernels');

interface Stored {
  readonly shape: number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const builds = ['baseline', ...candidateBuilds(await findPlatform()).filter((build) => build !== 'baseline')] as const;

/** All tensors of a safetensors file: 8 bytes of header length, the header as JSON, the data. */
function readTensors(path: string): Map<string, Stored> {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header: Record<string, { shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    file.toString('utf8', 8, 8 + headerLength),
  );
  const tensors = new Map<string, Stored>();
  for (const [name, { shape, data_offsets: range }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [start, end] = range.map((offset) => 8 + headerLength + offset);
    tensors.set(name, { shape, bytes: new Uint8Array(file.subarray(start, end)) });
  }
  return tensors;
}

interface Golden {
  readonly params: { readonly scale: number | null; readonly score: Record<string, unknown> & { type: string } };
  readonly tolerance: Readonly<Record<string, { readonly atol: number; readonly rtol: number }>>;
}

/** A mask written out pair by pair, [1 or H, N, M], as blocks. Query row 0 stands at position 0. */
function maskOfPairs(pairs: Uint8Array, shape: readonly number[], heads: number): BlockMask {
  const [own, queries, keys] = shape;
  const bitmaps: number[] = [];
  const rows = Array.from({ length: own }, (_, head) => {
    const [rowStart, column, bitmap] = [[0], [] as number[], [] as number[]];
    for (let i = 0; i < queries; i += BLOCK_SIDE) {
      for (let j = 0; j < keys; j += BLOCK_SIDE) {
        const words = new Array<number>(BITMAP_WORDS).fill(0);
        let count = 0;
        for (let a = i; a < Math.min(queries, i + BLOCK_SIDE); a++) {
          for (let b = j; b < Math.min(keys, j + BLOCK_SIDE); b++) {
            if (pairs[(head * queries + a) * keys + b] === 0) continue;
            words[2 * (a - i) + ((b - j) >> 5)] |= 1 << ((b - j) & 31);
            count++;
          }
        }
        if (count === 0) continue;
        column.push(j / BLOCK_SIDE);
        if (count === BLOCK_SIDE ** 2) bitmap.push(FULL_BLOCK);
        else bitmap.push(bitmaps.push(...words) / BITMAP_WORDS - 1);
      }
      rowStart.push(column.length);
    }
    return { rowStart: Uint32Array.from(rowStart), column: Uint32Array.from(column), bitmap: Int32Array.from(bitmap) };
  });
  return {
    pattern: { kind: 'dense' },
    queries,
    keys,
    queryOffset: 0,
    heads,
    headRows: Uint32Array.from({ length: heads }, (_, head) => (own === 1 ? 0 : head)),
    rows,
    bitmaps: Uint32Array.from(bitmaps),
  };
}

/** One batch entry of a case, or all where they share the mask. */
interface Part {
  readonly options: AttentionOptions & { readonly gradOutput: Tensor; readonly gradLse?: Float32Array };
  readonly want: (name: string) => Float32Array;
}

class Case {
  readonly name: string;
  readonly golden: Golden;
  readonly tensors: Map<string, Stored>;

  constructor(name: string) {
    this.name = name;
    this.golden = JSON.parse(readFileSync(join(folder, name, 'case.json'), 'utf8'));
    this.tensors = readTensors(join(folder, name, 'io.safetensors'));
  }

  floats(name: string): Float32Array {
    return new Float32Array(this.stored(name).bytes.buffer);
  }

  stored(name: string): Stored {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new RangeError(`${this.name} has no tensor ${name}`);
    return tensor;
  }

  /** By the name of the parameter here: the tensor's name there. */
  get parameter(): [string, string] | undefined {
    switch (this.golden.params.score.type) {
      case 'alibi':
      case 'alibi_softcap':
        return ['slopes', 'slopes'];
      case 't5':
      case 'rel_table':
        return ['table', 'table'];
      case 'head_scale':
        return ['factors', 'head_scale'];
      default:
        return undefined;
    }
  }

  modifier(): ScoreModifier | undefined {
    const { score } = this.golden.params;
    const table = () => ({ data: this.floats('table'), shape: this.stored('table').shape });
    switch (score.type) {
      case 'none':
        return undefined;
      case 'softcap':
        return softcap(Number(score.cap));
      case 'alibi':
        return alibi({ slopes: this.floats('slopes'), symmetric: score.symmetric === true });
      case 'alibi_softcap':
        return composeScores(softcap(Number(score.cap)), alibi({ slopes: this.floats('slopes') }));
      case 'rel_table':
        return relativePositions(table(), { zero: this.stored('q').shape[2] - 1 });
      case 't5':
        return t5Buckets({
          table: table(),
          bidirectional: score.bidirectional === true,
          maxDistance: Number(score.max_distance),
        });
      case 'head_scale':
        return headScale(this.floats('head_scale'));
      default:
        throw new RangeError(`${this.name}: no modifier for ${score.type}`);
    }
  }

  parts(): Part[] {
    const [batch, heads] = this.stored('q').shape;
    const shape = this.stored('mask').shape;
    const [queries, keys] = shape.slice(-2);
    const masks = shape.length === 4 ? shape[0] : 1;
    const each = batch / masks;
    const score = this.modifier();
    const { scale } = this.golden.params;
    return Array.from({ length: masks }, (_, index) => {
      const own = (name: string) => {
        const data = this.floats(name);
        const length = data.length / masks;
        return data.subarray(index * length, (index + 1) * length);
      };
      const tensor = (name: string): Tensor => {
        const [, h, n, d] = this.stored(name).shape;
        return { data: own(name), shape: [each, h, n, d] };
      };
      const ownHeads = shape.length === 4 ? shape[1] : 1;
      const pairs = ownHeads * queries * keys;
      const mask = maskOfPairs(
        this.stored('mask').bytes.subarray(index * pairs, (index + 1) * pairs),
        [ownHeads, queries, keys],
        heads,
      );
      return {
        options: {
          q: tensor('q'),
          k: tensor('k'),
          v: tensor('v'),
          mask,
          ...(scale === null ? {} : { scale }),
          ...(score ? { score } : {}),
          gradOutput: tensor('grad_out'),
          ...(this.tensors.has('grad_lse') ? { gradLse: own('grad_lse') } : {}),
        },
        want: own,
      };
    });
  }

  expectClose(name: string, got: ArrayLike<number>, want: Float32Array): void {
    const { atol, rtol } = this.golden.tolerance[name];
    expect(got.length, name).toBe(want.length);
    for (let i = 0; i < want.length; i++) {
      const near = got[i] === want[i] || Math.abs(got[i] - want[i]) <= atol + rtol * Math.abs(want[i]);
      if (!near) expect.fail(`${this.name} ${name} at ${i}: got ${got[i]}, want ${want[i]}, tolerance ${atol}`);
    }
  }
}

describe.skipIf(!existsSync(folder))('the FlexAttention goldens', () => {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('flex_')) : [];

  it('are all there', () => {
    expect(names.length).toBe(47);
  });

  it.each(names)('%s: the float64 gradients', (name) => {
    const golden = new Case(name);
    for (const { options, want } of golden.parts()) {
      const { gradQ, gradK, gradV, gradParameters } = referenceGradients(options);
      for (const [key, got] of Object.entries({ dq: gradQ, dk: gradK, dv: gradV }))
        golden.expectClose(key, got, want(key));
      if (!golden.parameter) continue;
      const [own, theirs] = golden.parameter;
      golden.expectClose(`d${theirs}`, gradParameters[own], golden.floats(`d${theirs}`));
    }
  });

  describe.each(builds)('on the wasm build %s', (build) => {
    let device: WasmDevice;
    beforeAll(async () => {
      device = await createDevice({ build, threads: 2 });
    });
    afterAll(() => device.dispose());

    it.each(names)('%s', async (name) => {
      const golden = new Case(name);
      for (const { options, want } of golden.parts()) {
        const { output, lse } = await device.attention(options);
        golden.expectClose('out', output.data, want('out'));
        golden.expectClose('lse', lse, want('lse'));
        const gradients = await device.attentionGradients({ ...options, output, lse });
        golden.expectClose('dq', gradients.gradQ.data, want('dq'));
        golden.expectClose('dk', gradients.gradK.data, want('dk'));
        golden.expectClose('dv', gradients.gradV.data, want('dv'));
        if (!golden.parameter) continue;
        const [own, theirs] = golden.parameter;
        golden.expectClose(`d${theirs}`, gradients.gradParameters?.[own] ?? [], golden.floats(`d${theirs}`));
      }
    });
  });
});

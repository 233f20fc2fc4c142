import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { causal, dense, globalTokens, intersect, perHead, sinks, union, window } from '../pattern/constructors.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { compileMask } from './compile.ts';
import { toDense } from './read.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(process.env.FARFIELD_GOLDEN ?? join(root, '../shared/golden'), 'kernels');

interface Tensor {
  shape: number[];
  data: Uint8Array;
}

/** One uint8 tensor of a safetensors file: 8 bytes of header length, the header as JSON, the data. */
function readTensor(path: string, name: string): Tensor {
  const file = readFileSync(path);
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength));
  const { dtype, shape, data_offsets: range } = header[name];
  expect(dtype).toBe('U8');
  return { shape, data: file.subarray(8 + headerLength + range[0], 8 + headerLength + range[1]) };
}

type Parameters = Record<string, unknown> & { type: string };

/** The pattern of a FlexAttention case, for one batch entry; undefined where the algebra has no words for it. */
function patternOf(mask: Parameters, batch: number): Pattern | undefined {
  const number = (name: string): number => Number(mask[name]);
  const list = (name: string): number[] => mask[name] as number[];
  switch (mask.type) {
    case 'full':
      return dense();
    case 'causal':
      return causal();
    case 'window':
      return window({ left: number('left'), right: number('right') });
    case 'dilated':
      return window({ left: number('left'), right: number('right'), dilation: number('dilation') });
    case 'sink':
      return sinks(number('sinks'));
    case 'prefix':
      return union(causal(), sinks(list('prefix')[batch] ?? 0));
    case 'longformer':
      return union(window(number('one_sided')), globalTokens({ positions: list('global_tokens') }));
    case 'window_per_head':
      return perHead(list('windows').map((size) => window(size)));
    case 'dilated_per_head':
      return perHead(
        list('dilations').map((dilation) => window({ left: number('left'), right: number('right'), dilation })),
      );
    case 'and':
    case 'or': {
      const parts = (mask.of as Parameters[]).map((part) => patternOf(part, batch));
      const known = parts.filter((part) => part !== undefined);
      if (known.length < parts.length) return undefined;
      return mask.type === 'and' ? intersect(...known) : union(...known);
    }
    default:
      return undefined;
  }
}

describe.skipIf(!existsSync(folder))('compiled masks', () => {
  it('equal the masks of FlexAttention', () => {
    const checked: string[] = [];
    for (const name of readdirSync(folder).filter((entry) => entry.startsWith('flex_'))) {
      const { params } = JSON.parse(readFileSync(join(folder, name, 'case.json'), 'utf8'));
      if (patternOf(params.mask, 0) === undefined) continue;
      const { shape, data } = readTensor(join(folder, name, 'io.safetensors'), 'mask');
      const [queries, keys] = shape.slice(-2) as [number, number];
      const [batches, heads] = shape.length === 4 ? (shape as [number, number]) : [1, 1];
      for (let batch = 0; batch < batches; batch++) {
        const pattern = patternOf(params.mask, batch) ?? dense();
        const mask = compileMask(pattern, { queries, keys, heads, queryOffset: params.mask.offset ?? 0 });
        for (let head = 0; head < heads; head++) {
          const start = (batch * heads + head) * queries * keys;
          const same = Buffer.compare(toDense(mask, head), data.subarray(start, start + queries * keys)) === 0;
          expect(same, `${name}, batch entry ${batch}, head ${head}`).toBe(true);
        }
      }
      checked.push(name);
    }
    expect(checked.length).toBeGreaterThanOrEqual(30);
    expect(checked).toEqual(
      expect.arrayContaining([
        'flex_longformer',
        'flex_sinks_window',
        'flex_dilated_per_head',
        'flex_causal_more_queries',
      ]),
    );
  });

  const others: [string, string, number, Pattern][] = [
    ['attention_gym_masks', 'mask_00', 40, window({ left: 7 })],
    ['attention_gym_masks', 'mask_01', 40, window({ left: 3, right: 3, dilation: 3 })],
    ['attention_gym_masks', 'mask_02', 40, window({ left: 2, right: 2, dilation: 4 })],
    ['attention_gym_masks', 'mask_03', 40, union(window(3), globalTokens({ positions: [0, 21] }))],
    ['attention_gym_masks', 'mask_04', 30, union(causal(), sinks(11))],
    ['xformers_patterns', 'pattern_01', 40, window(3)],
    ['xformers_patterns', 'pattern_09', 30, globalTokens({ positions: [2, 17] })],
  ];
  it.each(others)('equal %s %s', (name, tensor, n, pattern) => {
    const { data } = readTensor(join(folder, name, 'io.safetensors'), tensor);
    const mask = compileMask(pattern, { queries: n, keys: n, heads: 1 });
    expect(Buffer.compare(toDense(mask, 0), data)).toBe(0);
  });
});

/** The ladder's steps: the product's kernel with later ideas taken back, so that it cannot drift away from what is shipped. */
import type { KernelBuild } from '../../scripts/wasm-kernel.ts';
import { DeviceError } from '../../src/errors.ts';

/** Text of one file of the kernel, and what stood there before the idea. */
export interface Without {
  readonly file: string;
  readonly text: string | RegExp;
  readonly instead: string | ((found: string) => string);
}

export interface Step {
  readonly name: string;
  /** Why it is faster than the step before. */
  readonly why: string;
  readonly panel: number;
  readonly relaxed: boolean;
  /** Whether V8 merges pairs of 128-bit operations. */
  readonly merged: boolean;
  /** What is taken back in the step before this one, and all before. */
  readonly without: readonly Without[];
}

/** Literals in the place of the constants in memory. */
const literals: readonly Without[] = [
  {
    file: 'vector.ts',
    text: /const CONSTANTS = memory\.data<f32>\(\[([^\]]*)\], 16\);[\s\S]*?return v128\.load32_splat\(CONSTANTS[^\n]*\n\}/,
    instead: (found) => {
      const numbers = found
        .slice(found.indexOf('[') + 1, found.indexOf(']'))
        .split(',')
        .filter((each) => each.trim() !== '');
      const lines = numbers.map((each, i) => `  if (i == ${i}) return f32x4.splat(${each.trim()});`);
      return ['@inline', 'export function constant(i: usize): v128 {', ...lines, '  return f32x4.splat(0);', '}'].join(
        '\n',
      );
    },
  },
  { file: 'softmax.ts', text: 'v128.load(BITS)', instead: 'i32x4(1, 2, 4, 8)' },
  { file: 'softmax.ts', text: 'v128.load(BITS, 16)', instead: 'i32x4(16, 32, 64, 128)' },
  { file: 'softmax.ts', text: 'v128.load32_splat(MASKED)', instead: 'f32x4.splat(-Infinity)' },
];

export const steps: readonly Step[] = [
  {
    name: 'lanes along the width',
    why: 'four multiplications at once; each query still reads all its keys and values by itself',
    panel: 8,
    relaxed: false,
    merged: false,
    without: [],
  },
  {
    name: 'fused multiply-add',
    why: 'one instruction, one rounding (relaxed SIMD)',
    panel: 8,
    relaxed: true,
    merged: false,
    without: [],
  },
  {
    name: 'panels of 8 queries',
    why: 'a key is read once for 8 queries, 48 scores stay in registers, the softmax has no step across lanes',
    panel: 8,
    relaxed: true,
    merged: false,
    without: [{ file: 'index.ts', text: /const FEW_QUERIES: i32 = \d+;/, instead: 'const FEW_QUERIES: i32 = 64;' }],
  },
  {
    name: 'panels of 16, merged',
    why: 'V8 makes one 256-bit operation of two adjacent ones; 6 x 16 numbers then fill the registers',
    panel: 16,
    relaxed: true,
    merged: true,
    without: [],
  },
  {
    name: 'only keys that are seen',
    why: 'of a block at the edge of the window a panel computes the keys that one of its queries sees',
    panel: 16,
    relaxed: true,
    merged: true,
    without: [
      {
        file: 'forward.ts',
        text: 'const panelSeen = keysSeen(ranges, bitmap, panel * (P / 8), P / 8);',
        instead: 'const panelSeen = T << 8;',
      },
    ],
  },
  {
    name: 'a stale reference',
    why: 'the running maximum moves only when a score passes it by 8, so sums and outputs are rarely scaled',
    panel: 16,
    relaxed: true,
    merged: true,
    without: [{ file: 'softmax.ts', text: 'f32x4.splat(8.0)', instead: 'f32x4.splat(0.0)' }],
  },
  {
    name: 'constants in memory',
    why: 'vector literals in a loop are built anew in every iteration',
    panel: 16,
    relaxed: true,
    merged: true,
    without: literals,
  },
  {
    name: 'constants in registers',
    why: 'the loop of the exponential loads its eight constants once, not in every iteration',
    panel: 16,
    relaxed: true,
    merged: true,
    without: [
      {
        file: 'softmax.ts',
        text: /exp2With\((f32x4\.sub\(v128\.load\(s(, 16)?\), m[01]\)), [c0-7, ]*\)/g,
        instead: (found) => `exp2(${found.slice(found.indexOf('(') + 1, found.indexOf(', c0'))})`,
      },
    ],
  },
  {
    name: 'the upper half stored first',
    why: 'of two stores that V8 merges it otherwise keeps the lower one as well',
    panel: 16,
    relaxed: true,
    merged: true,
    without: [
      { file: 'tiles.generated.ts', text: / +v128\.store\(.*\n +v128\.store\(.*\n/g, instead: swapLines },
      { file: 'vector.ts', text: / +v128\.store\(to, upper, 16\);\n +v128\.store\(to, lower\);\n/, instead: swapLines },
    ],
  },
];

function swapLines(found: string): string {
  const [first, second] = found.split('\n');
  return `${second}\n${first}\n`;
}

/** How step `index` is compiled: without the ideas of all steps after it. Throws where the kernel no longer has an idea's text. */
export function buildOf(index: number): KernelBuild {
  const { panel, relaxed } = steps[index] as Step;
  const later = steps.slice(index + 1).flatMap(({ without }) => without);
  return {
    panel,
    relaxed,
    change: (file, text) =>
      later.filter((each) => each.file === file).reduce((changed, each) => takeBack(changed, each), text),
  };
}

export function takeBack(source: string, { file, text, instead }: Without): string {
  const changed =
    typeof instead === 'string' ? source.replace(text, () => instead) : source.replace(text, (found) => instead(found));
  if (changed === source)
    throw new DeviceError(`the ladder finds no ${text} in kernel/${file}: the kernel has changed`);
  return changed;
}

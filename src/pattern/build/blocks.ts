/** Constructors of patterns over blocks, at random, and on grids. All throw PatternError. Definitions and papers: ../kinds/. */
import { PatternError } from '../../errors.ts';
import type { BlockLocal, Blocks } from '../kinds/block.ts';
import type { Axial, Neighbourhood, ShiftedWindows } from '../kinds/grid.ts';
import type { RandomBlocks, RandomTokens } from '../kinds/random.ts';
import type { Pattern } from '../pattern.ts';
import { checkInteger, checkList } from '../values.ts';
import { forHeads, made } from './made.ts';

/** Local blocks (Image Transformer: Parmar et al. 2018, "Local Self-Attention"), and `back` and `ahead` blocks beside the own one. */
export function blockLocal(options: { block: number; back?: number; ahead?: number }): BlockLocal {
  return made<BlockLocal>({ kind: 'blockLocal', block: options.block, back: options.back, ahead: options.ahead });
}

/** Query block i sees the key blocks `table[i]`. */
export function blocks(options: { block: number; table: readonly (readonly number[])[] }): Blocks {
  return made<Blocks>({ kind: 'blocks', block: options.block, table: options.table });
}

/**
 * BlockBERT (Qiu et al. 2020): query block i sees key block permutations[h][i] in head h; heads beyond the list
 * begin it again.
 */
export function blockPermutation(options: { block: number; permutations: readonly (readonly number[])[] }): Pattern {
  checkList('blockPermutation permutations', options.permutations, 1);
  return forHeads(
    options.permutations.map((permutation) => made({ kind: 'blockPermutation', block: options.block, permutation })),
  );
}

/**
 * BlockBERT's usual permutations: of `heads` heads, `shifted` (a number of blocks for each) moves the key blocks round by that
 * many: 0 is the own block. `blockBert({ block: 256, blocks: 2, shifts: [0, 0, 0, 1] })` is its 3:1 split of heads.
 */
export function blockBert(options: { block: number; blocks: number; shifts: readonly number[] }): Pattern {
  const { block, blocks: count, shifts } = options;
  checkInteger('blockBert blocks', count, 1);
  checkList('blockBert shifts', shifts, 1);
  for (const [head, by] of shifts.entries()) checkInteger(`blockBert shifts[${head}]`, by);
  const permutations = shifts.map((by) => Array.from({ length: count }, (_, i) => (i + by) % count));
  return blockPermutation({ block, permutations });
}

/** `count` random keys for every query, among the first `length`, or without that among those up to its own. */
export function randomTokens(options: {
  count: number;
  seed: number;
  length?: number;
  perHead?: boolean;
}): RandomTokens {
  const { count, seed, length, perHead } = options;
  return made<RandomTokens>({ kind: 'randomTokens', count, seed, length, perHead: perHead || undefined });
}

/** `count` random key blocks for every query block, of `length` tokens, or without that of the blocks up to its own. */
export function randomBlocks(options: {
  block: number;
  count: number;
  seed: number;
  length?: number;
  perHead?: boolean;
}): RandomBlocks {
  const { block, count, seed, length, perHead } = options;
  const among = blocksOf(length, block);
  const own = perHead || undefined;
  return made<RandomBlocks>({
    kind: 'randomBlocks',
    block,
    count,
    seed,
    blocks: among,
    window: undefined,
    global: undefined,
    perHead: own,
  });
}

/**
 * BigBird (Zaheer et al. 2020, section 2): `window` blocks around the own one, the first `global` blocks both ways, and
 * `random` blocks beside them, drawn by `seed` from a text of `length` tokens, or without that from the past. `tables` says
 * instead which random blocks each query block has, one table for each head in turn. Cut it to the past by
 * intersect(causal(), ...).
 */
export function bigBird(options: {
  block: number;
  window?: number;
  global?: number;
  random?: number;
  seed?: number;
  length?: number;
  perHead?: boolean;
  tables?: readonly (readonly (readonly number[])[])[];
}): Pattern {
  const { block, window = 3, global = 2, random, seed = 0, length, perHead, tables } = options;
  if (tables !== undefined) {
    checkList('bigBird tables', tables, 1);
    for (const [name, value] of Object.entries({ random, seed: options.seed, length, perHead })) {
      if (value === undefined) continue;
      throw new PatternError(`bigBird ${name} is ${String(value)} beside tables; tables say which blocks there are`);
    }
    return forHeads(tables.map((table) => made({ kind: 'bigBird', block, window, global, table })));
  }
  const own = perHead || undefined;
  return made({
    kind: 'bigBird',
    block,
    window,
    global,
    random: random ?? 3,
    seed,
    blocks: blocksOf(length, block),
    perHead: own,
  });
}

function blocksOf(length: number | undefined, block: number): number | undefined {
  return length === undefined ? undefined : Math.ceil(length / block);
}

/**
 * Axial attention in n dimensions (Ho et al. 2019) along each of `axes`: numbers, or lists of axes attended
 * together. `axial({ grid: [9, 11], axes: [0, 1] })` is the row and the column of a cell.
 */
export function axial(options: { grid: readonly number[]; axes: readonly (number | readonly number[])[] }): Axial {
  checkList('axial axes', options.axes, 1);
  const axes = options.axes.map((entry) => (typeof entry === 'number' ? [entry] : entry));
  return made<Axial>({ kind: 'axial', grid: options.grid, axes });
}

/** Neighbourhood attention in n dimensions; `radius`, `dilation` and `tile` for each axis, or one number for all. */
export function neighbourhood(options: {
  grid: readonly number[];
  radius: number | readonly number[];
  dilation?: number | readonly number[];
  border?: 'cut' | 'clamp';
  tile?: number | readonly number[];
}): Neighbourhood {
  const { grid, radius, dilation, border, tile } = options;
  return made<Neighbourhood>({
    kind: 'neighbourhood',
    grid,
    radius: eachAxis(grid, radius),
    dilation: dilation === undefined ? undefined : eachAxis(grid, dilation),
    border,
    tile: tile === undefined ? undefined : eachAxis(grid, tile),
  });
}

/** Windows of a grid, moved by `shift` (Swin: Liu et al. 2021, section 3.2); for each axis, or one number for all. */
export function shiftedWindows(options: {
  grid: readonly number[];
  window: number | readonly number[];
  shift?: number | readonly number[];
}): ShiftedWindows {
  const { grid, window, shift } = options;
  return made<ShiftedWindows>({
    kind: 'shiftedWindows',
    grid,
    window: eachAxis(grid, window),
    shift: shift === undefined ? undefined : eachAxis(grid, shift),
  });
}

function eachAxis(grid: readonly number[], value: number | readonly number[]): readonly number[] {
  return typeof value === 'number' && Array.isArray(grid) ? grid.map(() => value) : (value as readonly number[]);
}

/**
 * DeepSpeed's block-sparse layouts by their own parameter names (deepspeed.ops.sparse_attention, sparsity_config), so that
 * a configuration can be taken over as it is. Each function lays out `seq_len` / `block` blocks and returns patterns of kind
 * blocks. A layout is of blocks: cut a unidirectional one to the past with intersect(causal(), ...). All throw PatternError.
 */
import { PatternError } from '../../errors.ts';
import { drawDistinct, headSeed } from '../kinds/random-draw.ts';
import type { Pattern } from '../pattern.ts';
import { checkInteger, show } from '../values.ts';
import { forHeads, made } from './made.ts';

type Attention = 'unidirectional' | 'bidirectional';

interface Common {
  readonly num_heads: number;
  readonly seq_len: number;
  /** Default 16. */
  readonly block?: number;
  /** Default false: all heads have the first one's layout. */
  readonly different_layout_per_head?: boolean;
}

interface Random {
  /** The random columns, [heads laid out, blocks, num_random_blocks]; DeepSpeed draws them with Python's generator. */
  readonly random_columns?: readonly (readonly (readonly number[])[])[];
  /** Draws them here, where random_columns is missing. Default 0. */
  readonly seed?: number;
}

interface GlobalBlocks {
  /** Default [0]. Indices beyond the last block do nothing. */
  readonly global_block_indices?: readonly number[];
  /** Where each range of global blocks ends, exclusive. Default: each is one block. */
  readonly global_block_end_indices?: readonly number[] | null;
}

export interface DeepSpeedFixed extends Common {
  /** Default 4. */
  readonly num_local_blocks?: number;
  /** Default 1. */
  readonly num_global_blocks?: number;
  /** Default bidirectional. */
  readonly attention?: Attention;
  /** Default false. */
  readonly horizontal_global_attention?: boolean;
  /** Default 1. */
  readonly num_different_global_patterns?: number;
}

export interface DeepSpeedVariable extends Common, Random, GlobalBlocks {
  /** Default 0. */
  readonly num_random_blocks?: number;
  /** Sizes of the first windows; the last one repeats. Default [4]. */
  readonly local_window_blocks?: readonly number[];
  /** Default bidirectional. */
  readonly attention?: Attention;
  /** Default false. */
  readonly horizontal_global_attention?: boolean;
}

export interface DeepSpeedBigBird extends Common, Random {
  /** Default 1. */
  readonly num_random_blocks?: number;
  /** Default 3. */
  readonly num_sliding_window_blocks?: number;
  /** Default 1. */
  readonly num_global_blocks?: number;
  /** Default bidirectional. */
  readonly attention?: Attention;
}

export interface DeepSpeedBSLongformer extends Common, GlobalBlocks {
  /** Default 3. */
  readonly num_sliding_window_blocks?: number;
  /** Default bidirectional. */
  readonly attention?: Attention;
}

export interface DeepSpeedLocalSlidingWindow extends Common {
  /** Default 3. */
  readonly num_sliding_window_blocks?: number;
  /** Default unidirectional. */
  readonly attention?: Attention;
}

/** FixedSparsityConfig: local windows, and the last blocks of each window as global columns (and rows). */
export function deepSpeedFixed(options: DeepSpeedFixed): Pattern {
  const { num_local_blocks: local = 4, num_global_blocks: global = 1, num_different_global_patterns = 1 } = options;
  const isOneWay = isUnidirectional('deepSpeedFixed', options.attention);
  const horizontal = options.horizontal_global_attention ?? false;
  checkInteger('deepSpeedFixed num_local_blocks', local, 1);
  checkInteger('deepSpeedFixed num_global_blocks', global, 1);
  checkInteger('deepSpeedFixed num_different_global_patterns', num_different_global_patterns, 1);
  if (local % global !== 0) fail('deepSpeedFixed', 'num_global_blocks', global, `divide num_local_blocks, ${local}`);
  checkHorizontal('deepSpeedFixed', horizontal, isOneWay);
  const most = options.different_layout_per_head ? local / global : 1;
  if (num_different_global_patterns > most) {
    const why = options.different_layout_per_head
      ? `be at most num_local_blocks / num_global_blocks, ${most}`
      : 'be 1 unless different_layout_per_head is true';
    fail('deepSpeedFixed', 'num_different_global_patterns', num_different_global_patterns, why);
  }
  return layout('deepSpeedFixed', options, (set, count, head) => {
    setWindows(set, count, [local], isOneWay);
    const first = local - (1 + (head % num_different_global_patterns)) * global;
    const whole = count - (count % local);
    const starts = [];
    for (let i = first; i < whole; i += local) starts.push(i);
    if (whole < count) starts.push(Math.max(0, Math.min(whole + first, count - global)));
    for (const start of starts) setGlobal(set, count, start, start + global, isOneWay, horizontal);
  });
}

/** VariableSparsityConfig: windows of given sizes, given global blocks, random blocks. */
export function deepSpeedVariable(options: DeepSpeedVariable): Pattern {
  const { num_random_blocks = 0, local_window_blocks = [4] } = options;
  const isOneWay = isUnidirectional('deepSpeedVariable', options.attention);
  const horizontal = options.horizontal_global_attention ?? false;
  checkHorizontal('deepSpeedVariable', horizontal, isOneWay);
  const ranges = globalRanges('deepSpeedVariable', options);
  return layout('deepSpeedVariable', options, (set, count, head) => {
    setRandom('deepSpeedVariable', set, count, head, num_random_blocks, options, () => count);
    setWindows(set, count, local_window_blocks, isOneWay);
    for (const [start, end] of ranges) setGlobal(set, count, start, end, isOneWay, horizontal);
  });
}

/** BigBirdSparsityConfig: random blocks, a sliding window, the first blocks global both ways. */
export function deepSpeedBigBird(options: DeepSpeedBigBird): Pattern {
  const { num_random_blocks = 1, num_sliding_window_blocks = 3, num_global_blocks = 1 } = options;
  const isOneWay = isUnidirectional('deepSpeedBigBird', options.attention);
  return layout('deepSpeedBigBird', options, (set, count, head) => {
    const cut = isOneWay ? (row: number, column: number) => column <= row && set(row, column) : set;
    setRandom('deepSpeedBigBird', cut, count, head, num_random_blocks, options, (row) => (isOneWay ? row + 1 : count));
    setSliding('deepSpeedBigBird', cut, count, num_sliding_window_blocks);
    checkAtMost('deepSpeedBigBird', 'num_global_blocks', num_global_blocks, count);
    setGlobal(cut, count, 0, num_global_blocks, false, true);
  });
}

/** BSLongformerSparsityConfig: a sliding window, given blocks global both ways. */
export function deepSpeedBSLongformer(options: DeepSpeedBSLongformer): Pattern {
  const isOneWay = isUnidirectional('deepSpeedBSLongformer', options.attention);
  const ranges = globalRanges('deepSpeedBSLongformer', options);
  return layout('deepSpeedBSLongformer', options, (set, count) => {
    const cut = isOneWay ? (row: number, column: number) => column <= row && set(row, column) : set;
    setSliding('deepSpeedBSLongformer', cut, count, options.num_sliding_window_blocks ?? 3);
    for (const [start, end] of ranges) setGlobal(cut, count, start, end, false, true);
  });
}

/** LocalSlidingWindowSparsityConfig: a sliding window, of the past alone unless attention is bidirectional. */
export function deepSpeedLocalSlidingWindow(options: DeepSpeedLocalSlidingWindow): Pattern {
  const isOneWay = isUnidirectional('deepSpeedLocalSlidingWindow', options.attention ?? 'unidirectional');
  return layout('deepSpeedLocalSlidingWindow', options, (set, count) => {
    const cut = isOneWay ? (row: number, column: number) => column <= row && set(row, column) : set;
    setSliding('deepSpeedLocalSlidingWindow', cut, count, options.num_sliding_window_blocks ?? 3);
  });
}

type SetBlock = (row: number, column: number) => void;

/** The patterns of all heads from a function that sets the blocks of one. */
function layout(name: string, options: Common, fill: (set: SetBlock, count: number, head: number) => void): Pattern {
  const { num_heads, seq_len, block = 16, different_layout_per_head = false } = options;
  checkInteger(`${name} num_heads`, num_heads, 1);
  checkInteger(`${name} seq_len`, seq_len);
  checkInteger(`${name} block`, block, 1);
  if (seq_len % block !== 0) fail(name, 'seq_len', seq_len, `be a multiple of the block, ${block}`);
  const count = seq_len / block;
  const heads = Array.from({ length: different_layout_per_head ? num_heads : 1 }, (_, head) => {
    const rows = Array.from({ length: count }, () => new Set<number>());
    fill((row, column) => rows[row]?.add(column), count, head);
    return made({ kind: 'blocks', block, table: rows.map((row) => [...row].sort((a, b) => a - b)) });
  });
  return forHeads(heads);
}

function setWindows(set: SetBlock, count: number, sizes: readonly number[], isOneWay: boolean): void {
  for (const [i, size] of sizes.entries()) checkInteger(`local_window_blocks[${i}]`, size, 1);
  for (let start = 0, i = 0; start < count; i++) {
    const size = sizes[Math.min(i, sizes.length - 1)] ?? count;
    const end = Math.min(count, start + size);
    for (let row = start; row < end; row++) {
      for (let column = start; column < (isOneWay ? row + 1 : end); column++) set(row, column);
    }
    start = end;
  }
}

function setSliding(name: string, set: SetBlock, count: number, size: number): void {
  checkAtMost(name, 'num_sliding_window_blocks', size, count);
  const side = Math.floor(size / 2);
  for (let row = 0; row < count; row++) {
    for (let column = Math.max(0, row - side); column <= Math.min(count - 1, row + side); column++) set(row, column);
  }
}

/** Columns start..end, one way only from row `start` on (which leaves some above the diagonal, as in DeepSpeed), and their rows. */
function setGlobal(set: SetBlock, count: number, start: number, end: number, isOneWay: boolean, rows: boolean): void {
  for (let column = start; column < Math.min(end, count); column++) {
    for (let row = isOneWay ? start : 0; row < count; row++) set(row, column);
    for (let other = 0; rows && other < count; other++) set(column, other);
  }
}

function setRandom(
  name: string,
  set: SetBlock,
  count: number,
  head: number,
  random: number,
  { random_columns, seed = 0 }: Random,
  population: (row: number) => number,
): void {
  checkAtMost(name, 'num_random_blocks', random, count);
  checkInteger(`${name} seed`, seed);
  for (let row = 0; row < count && random > 0; row++) {
    const drawn =
      random_columns === undefined
        ? drawDistinct(headSeed(seed, head), row, random, population(row))
        : random_columns[head]?.[row];
    if (drawn === undefined) {
      throw new PatternError(`${name} random_columns[${head}][${row}] is missing; it must list the columns drawn`);
    }
    for (const column of drawn) {
      checkInteger(`${name} random_columns[${head}][${row}]`, column);
      if (column >= count)
        fail(name, `random_columns[${head}][${row}]`, column, `be below the number of blocks, ${count}`);
      set(row, column);
    }
  }
}

function globalRanges(name: string, options: GlobalBlocks): [number, number][] {
  const { global_block_indices: starts = [0], global_block_end_indices: ends } = options;
  if (ends && ends.length !== starts.length) {
    fail(name, 'global_block_end_indices', ends, `have one index for each of ${starts.length} starts`);
  }
  return starts.map((start, i) => {
    checkInteger(`${name} global_block_indices[${i}]`, start);
    const end = ends?.[i] ?? start + 1;
    checkInteger(`${name} global_block_end_indices[${i}]`, end, start + 1);
    return [start, end];
  });
}

function isUnidirectional(name: string, attention: Attention = 'bidirectional'): boolean {
  if (attention !== 'unidirectional' && attention !== 'bidirectional') {
    fail(name, 'attention', attention, 'be unidirectional or bidirectional');
  }
  return attention === 'unidirectional';
}

function checkHorizontal(name: string, horizontal: boolean, isOneWay: boolean): void {
  if (horizontal && isOneWay) {
    fail(name, 'horizontal_global_attention', true, 'be false unless attention is bidirectional');
  }
}

function checkAtMost(name: string, field: string, value: number, count: number): void {
  checkInteger(`${name} ${field}`, value);
  if (value > count) fail(name, field, value, `be at most the number of blocks in a row, ${count}`);
}

function fail(name: string, field: string, value: unknown, right: string): never {
  throw new PatternError(`${name} ${field} is ${show(value)}; it must ${right}`);
}

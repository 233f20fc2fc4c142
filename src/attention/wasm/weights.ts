import { BLOCK_SIDE } from '../../mask/index.ts';
import type { RowRange } from '../../mask/row-pairs.ts';
import type { Problem } from '../problem.ts';
import type { AttentionWeights, SparseWeights, WeightsOptions } from '../sparse-weights.ts';
import { Arena, type Part } from './arena.ts';
import type { HeadRange, JobBase, WasmDevice } from './device.ts';
import type { Job } from './job.ts';

/** Values that the kernels' memory holds at a time, in bytes; more come in several jobs. */
const VALUE_BYTES = 2 ** 28;

/** Fills in the values of one part. The kernel's side is kernel/weights.ts. */
export async function runWeights(
  device: WasmDevice,
  problem: Problem,
  options: WeightsOptions,
  weights: AttentionWeights,
  copyBytes: number,
  { job, arena, part, range }: { job: JobBase; arena: Arena; part: Part; range: HeadRange },
): Promise<void> {
  const { q, k, lse, signal } = options;
  const { first, count } = range;
  const start = (part.batch * problem.heads + first) * problem.queries;
  const keys = arena.input(k, part.group, part.groups);
  const whole: Job = {
    ...job,
    q: arena.input(q, first, count),
    k: keys,
    v: keys,
    output: { address: 0, batch: 0, head: 0, row: 0 },
    lse: arena.numbers(lse?.subarray(start, start + part.batches * count * problem.queries)),
  };
  const heads = Array.from({ length: part.batches }, (_, b) =>
    weights.heads[part.batch + b].slice(first, first + count),
  ).flat();
  for (const { rows, from, to } of chunksOf(heads, weights.rows, Math.min(VALUE_BYTES, copyBytes))) {
    const own = new Arena(device.heap, part);
    try {
      const table = tableOf(own, heads, weights.rows, rows, from, to);
      await device.run({ ...whole, weights: { table, ...rows } }, signal);
      own.finish();
    } finally {
      own.free();
    }
  }
}

/** Rows, and heads from .. to - 1 of them, that one job computes. */
interface Chunk {
  readonly rows: RowRange;
  readonly from: number;
  readonly to: number;
}

/** Whole query blocks of all heads, as many as fit; of each head alone where one block of all does not. */
function* chunksOf(heads: readonly SparseWeights[], all: RowRange, budget: number): Generator<Chunk> {
  const bytes = (rows: RowRange, from: number, to: number) =>
    heads
      .slice(from, to)
      .reduce((sum, { rowStart }) => sum + rowStart[rows.end - all.start] - rowStart[rows.start - all.start], 0) * 4;
  const after = (row: number) => Math.min(all.end, (Math.floor(row / BLOCK_SIDE) + 1) * BLOCK_SIDE);
  for (let start = all.start; start < all.end; ) {
    let end = after(start);
    if (bytes({ start, end }, 0, heads.length) > budget) {
      for (let head = 0; head < heads.length; head++) yield { rows: { start, end }, from: head, to: head + 1 };
    } else {
      while (end < all.end && bytes({ start, end: after(end) }, 0, heads.length) <= budget) end = after(end);
      yield { rows: { start, end }, from: 0, to: heads.length };
    }
    start = end;
  }
}

/** For each batch entry and head of the part, the addresses of its rows' places and of its values; 0 where it has no share. */
function tableOf(
  arena: Arena,
  heads: readonly SparseWeights[],
  all: RowRange,
  rows: RowRange,
  from: number,
  to: number,
): number {
  const places = new Map<Float64Array, number>();
  const words = heads.flatMap(({ rowStart, values }, head) => {
    if (head < from || head >= to) return [0, 0];
    const starts = rowStart.subarray(rows.start - all.start, rows.end - all.start + 1);
    const place = places.get(rowStart) ?? arena.words(Array.from(starts, (at) => at - starts[0]));
    places.set(rowStart, place);
    return [place, arena.numbersOut(values, starts[0], starts[starts.length - 1] - starts[0])];
  });
  return arena.words(words);
}

import { BLOCK_SIDE, type OrderedRows } from '../../mask/index.ts';
import type { Problem } from '../problem.ts';
import { emptyTensor } from '../storage.ts';
import type { AnyGradientOptions, NumberArray, Tensor } from '../types.ts';
import { Arena, type Part } from './arena.ts';
import type { HeadRange, JobBase, WasmDevice } from './device.ts';
import type { Heap } from './heap.ts';
import { padded } from './job.ts';
import type { ParameterGradients } from './parameter-gradients.ts';
import type { PlacedPass } from './passes.ts';

/** Segments in all that a backward pass aims for, so that any usual number of threads finds work. */
const SEGMENTS = 16;
/** Query blocks that a segment has at least; its gradients of keys and values are summed with its neighbours'. */
const LEAST_BLOCKS = 8;

const NO_SLOTS = new Int32Array();

/** Of, or for, q, k and v. */
type Three = readonly [Tensor<NumberArray>, Tensor<NumberArray>, Tensor<NumberArray>];

export interface GradientTensors {
  readonly made: Three;
  readonly gradSinkLogits: Float32Array | undefined;
  readonly sums: ParameterGradients;
}

export interface Segment {
  readonly batch: number;
  readonly group: number;
  readonly first: number;
  readonly end: number;
  /** Query heads of the part. */
  readonly firstHead: number;
  readonly endHead: number;
  /** Slot of each key block, -1 for those that the mask does not touch. */
  readonly slots: Int32Array;
  readonly count: number;
}

/**
 * The gradients of q, k and v, or new arrays for those that lie where the tensor itself does and must not yet. A single pass reads a
 * block of queries before it writes their gradient, and all keys and values before it sums theirs up, so it may write over them; of several
 * passes each reads everything again.
 */
export function whereGradientsGrow(passes: readonly PlacedPass[], gradients: Three, read: Three): Three {
  if (!passes.some(({ pass }) => pass)) return gradients;
  const place = (i: 0 | 1 | 2) => {
    const gradient = gradients[i];
    const [a, b] = [gradient.data, read[i].data];
    return a.buffer === b.buffer && a.byteOffset === b.byteOffset ? emptyTensor(gradient, gradient.shape) : gradient;
  };
  return [place(0), place(1), place(2)];
}

/** Two jobs for each pass: the segments, then their sum. The kernel's side is kernel/backward.ts. */
export async function runBackward(
  device: WasmDevice,
  problem: Problem,
  options: AnyGradientOptions,
  { made: [gradQ, gradK, gradV], gradSinkLogits, sums }: GradientTensors,
  { jobs, arena, part, range }: { jobs: readonly JobBase[]; arena: Arena; part: Part; range: HeadRange },
): Promise<void> {
  const { q, k, v, output, gradOutput, lse, gradLse, signal } = options;
  const { heads, queries } = problem;
  const { first, count } = range;
  const start = (part.batch * heads + first) * queries;
  const rows = part.batches * count * queries;
  const heap = device.heap;
  const delta = arena.allocate(4 * rows);
  if (gradLse) heap.floats(delta, rows).set(gradLse.subarray(start, start + rows));
  else heap.floats(delta, rows).fill(0);
  const places = {
    q: arena.input(q, first, count),
    k: arena.input(k, part.group, part.groups),
    v: arena.input(v, part.group, part.groups),
    output: arena.input(output, first, count),
    lse: arena.numbers(lse.subarray(start, start + rows)),
  };
  const results = {
    gradQ: arena.output(gradQ, first, count),
    gradK: arena.output(gradK, part.group, part.groups),
    gradV: arena.output(gradV, part.group, part.groups),
  };
  const { keys, queryWidth, valueWidth } = problem;
  const sumsOf = () => ({
    gradQ: arena.sums(results.gradQ, count, queries, queryWidth),
    gradK: arena.sums(results.gradK, part.groups, keys, queryWidth),
    gradV: arena.sums(results.gradV, part.groups, keys, valueWidth),
  });
  const gradients = {
    gradOutput: arena.input(gradOutput, first, count),
    delta,
    ...(jobs.some(({ pass }) => pass) ? sumsOf() : results),
  };
  for (const job of jobs) {
    const own = new Arena(heap, part);
    try {
      const isDirect = isOneToOne(job, part, count / part.groups);
      const planned = planSegments(job.blocks, part, count / part.groups);
      const segments = isDirect ? planned.map((segment) => ({ ...segment, slots: NO_SLOTS, count: 0 })) : planned;
      const buffers = sums.place(own, heap, segments);
      const table = placeSegments(own, heap, segments, buffers, problem);
      const backward = { ...gradients, segments: table, segmentCount: segments.length };
      const writes = isDirect && !job.pass?.isLater && job.pass?.hasAllKeys;
      // The sum of no segments is zero everywhere.
      const nothing = { ...backward, segmentCount: 0 };
      if (isDirect && !job.pass?.isLater && !writes)
        await device.run({ ...job, ...places, backward: { step: 'sum', ...nothing } }, signal);
      const direct = isDirect ? ({ direct: writes ? 'write' : 'add' } as const) : {};
      await device.run({ ...job, ...places, backward: { step: 'segments', ...backward, ...direct } }, signal);
      sums.collect(heap);
      if (!isDirect) await device.run({ ...job, ...places, backward: { step: 'sum', ...backward } }, signal);
    } finally {
      own.free();
    }
  }
  for (const job of arena.roundings()) await device.run(job, signal);
  if (gradSinkLogits) addSinkGradient(gradSinkLogits, problem, lse, heap.floats(delta, rows), start, range, part);
}

/** Whether no two segments of the job have keys in common: each key block has one query block, the same in all heads that share it. */
function isOneToOne({ pass, blocks: { headRows } }: JobBase, part: Part, perGroup: number): boolean {
  if (!pass?.isOneToOne) return false;
  const first = part.group * perGroup;
  for (let head = first; head < first + part.groups * perGroup; head++) {
    if (headRows[head] !== headRows[head - ((head - first) % perGroup)]) return false;
  }
  return true;
}

/** Returns the address of the segments' words. */
function placeSegments(
  arena: Arena,
  heap: Heap,
  segments: readonly Segment[],
  buffers: readonly number[],
  { queryWidth, valueWidth }: Problem,
): number {
  const words = segments.flatMap(({ batch, group, first, end, firstHead, endHead, slots, count }, i) => {
    const place = arena.allocate(4 * slots.length);
    new Int32Array(heap.memory.buffer, place, slots.length).set(slots);
    const room = (width: number) => arena.allocate(4 * count * BLOCK_SIDE * padded(width));
    const rooms = [room(queryWidth), room(valueWidth)];
    return [batch, group, first, end, place, count, ...rooms, buffers[i], firstHead, endHead];
  });
  return arena.words(words);
}

/** The sink's probability is exp(sink - lse) in every row, its value is zero: its gradient is -sum(probability delta). */
function addSinkGradient(
  gradient: Float32Array,
  { sinkLogits, queries }: Problem,
  lse: Float32Array,
  delta: Float32Array,
  start: number,
  { first, count }: HeadRange,
  { batches }: Part,
): void {
  for (let b = 0; b < batches; b++) {
    for (let h = 0; h < count; h++) {
      let sum = 0;
      for (let i = 0; i < queries; i++) {
        const row = (b * count + h) * queries + i;
        sum += Math.exp((sinkLogits?.[first + h] ?? -Infinity) - lse[start + row]) * delta[row];
      }
      gradient[first + h] -= sum;
    }
  }
}

/**
 * Cuts the query blocks of each key/value head into segments, by the mask alone: never by the number of threads. Heads that share
 * it share segments where they have keys in the same order.
 */
export function planSegments(mask: PlacedPass['blocks'], part: Part, perGroup: number): Segment[] {
  const blocks = Math.ceil(mask.queries / BLOCK_SIDE);
  const keyBlocks = Math.ceil(mask.keys / BLOCK_SIDE);
  const first = part.group * perGroup;
  const runs = headRuns(mask, first, part.groups * perGroup, perGroup);
  const pairs = part.batches * runs.length;
  const each = Math.max(1, Math.min(Math.ceil(SEGMENTS / pairs), Math.floor(blocks / LEAST_BLOCKS)));
  const segments: Segment[] = [];
  for (const { firstHead, endHead } of runs) {
    for (let i = 0; i < each; i++) {
      const range = { first: Math.floor((i * blocks) / each), end: Math.floor(((i + 1) * blocks) / each) };
      const slots = new Int32Array(keyBlocks).fill(-1);
      let count = 0;
      for (let head = firstHead; head < endHead; head++) {
        const { rowStart, column } = mask.rows[mask.headRows[first + head]];
        for (let e = rowStart[range.first]; e < rowStart[range.end]; e++) {
          if (slots[column[e]] < 0) slots[column[e]] = count++;
        }
      }
      const group = Math.floor(firstHead / perGroup);
      for (let batch = 0; batch < part.batches; batch++)
        segments.push({ batch, group, ...range, firstHead, endHead, slots, count });
    }
  }
  return segments.sort(
    (a, b) => a.batch - b.batch || a.group - b.group || a.firstHead - b.firstHead || a.first - b.first,
  );
}

/** Neighbouring heads with one key/value head and one order of keys, as numbers from the part's first head on. */
function headRuns(
  { rows, headRows }: PlacedPass['blocks'],
  first: number,
  count: number,
  perGroup: number,
): { readonly firstHead: number; readonly endHead: number }[] {
  const orderOf = (head: number) => (rows[headRows[first + head]] as OrderedRows).keyOrder;
  const runs: { firstHead: number; endHead: number }[] = [];
  for (let head = 0; head < count; head++) {
    const last = runs.at(-1);
    if (last && head % perGroup !== 0 && orderOf(head) === orderOf(last.firstHead)) last.endHead++;
    else runs.push({ firstHead: head, endHead: head + 1 });
  }
  return runs;
}

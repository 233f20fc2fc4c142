import { BLOCK_SIDE, type BlockMask, rowsOfHead } from '../../mask/index.ts';
import { maskOfEntry, type Problem } from '../problem.ts';
import type { GradientOptions, Tensor } from '../types.ts';
import type { Arena, Part } from './arena.ts';
import type { HeadRange, JobBase, WasmDevice } from './device.ts';
import { type Job, SEGMENT_WORDS, WIDEST_PANEL } from './job.ts';
import type { ParameterGradients } from './parameter-gradients.ts';

/** Segments in all that a backward pass aims for, so that any usual number of threads finds work. */
const SEGMENTS = 16;
/** Query blocks that a segment has at least; its gradients of keys and values are summed with its neighbours'. */
const LEAST_BLOCKS = 8;

export interface GradientTensors {
  readonly gradQ: Tensor;
  readonly gradK: Tensor;
  readonly gradV: Tensor;
  readonly gradSinkLogits: Float32Array | undefined;
  readonly sums: ParameterGradients;
}

export interface Segment {
  readonly batch: number;
  readonly group: number;
  readonly first: number;
  readonly end: number;
  /** Slot of each key block, -1 for those that the mask does not touch. */
  readonly slots: Int32Array;
  readonly count: number;
}

/** Two jobs: the segments, then their sum. The kernel's side is kernel/backward.ts. */
export async function runBackward(
  device: WasmDevice,
  problem: Problem,
  options: GradientOptions,
  { gradQ, gradK, gradV, gradSinkLogits, sums }: GradientTensors,
  { job, arena, part, range }: { job: JobBase; arena: Arena; part: Part; range: HeadRange },
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
  const segments = planSegments(maskOfEntry(problem, part.batch), part, count / part.groups);
  const buffers = sums.place(arena, heap, segments);
  const table = arena.allocate(4 * SEGMENT_WORDS * segments.length);
  const words = segments.flatMap((segment, i) => {
    const slots = arena.allocate(4 * segment.slots.length);
    new Int32Array(heap.memory.buffer, slots, segment.slots.length).set(segment.slots);
    const room = (width: number) => arena.allocate(4 * segment.count * BLOCK_SIDE * padded(width));
    const { batch, group, first: from, end } = segment;
    return [
      batch,
      group,
      from,
      end,
      slots,
      segment.count,
      room(problem.queryWidth),
      room(problem.valueWidth),
      buffers[i],
    ];
  });
  heap.words(table, words.length).set(words);
  const whole: Job = {
    ...job,
    q: arena.input(q, first, count),
    k: arena.input(k, part.group, part.groups),
    v: arena.input(v, part.group, part.groups),
    output: arena.input(output, first, count),
    lse: arena.numbers(lse.subarray(start, start + rows)),
    backward: {
      step: 'segments',
      gradOutput: arena.input(gradOutput, first, count).address,
      delta,
      gradQ: arena.output(gradQ, first, count).address,
      gradK: arena.output(gradK, part.group, part.groups).address,
      gradV: arena.output(gradV, part.group, part.groups).address,
      segments: table,
      segmentCount: segments.length,
    },
  };
  await device.run(whole, signal);
  sums.collect(heap);
  await device.run(
    { ...whole, backward: { ...(whole.backward as NonNullable<Job['backward']>), step: 'sum' } },
    signal,
  );
  if (gradSinkLogits) addSinkGradient(gradSinkLogits, problem, lse, heap.floats(delta, rows), start, range, part);
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

function padded(width: number): number {
  return Math.ceil(width / WIDEST_PANEL) * WIDEST_PANEL;
}

/** Cuts the query blocks of each key/value head into segments, by the mask alone: never by the number of threads. */
export function planSegments(mask: BlockMask, part: Part, perGroup: number): Segment[] {
  const blocks = Math.ceil(mask.queries / BLOCK_SIDE);
  const keyBlocks = Math.ceil(mask.keys / BLOCK_SIDE);
  const pairs = part.batches * part.groups;
  const each = Math.max(1, Math.min(Math.ceil(SEGMENTS / pairs), Math.floor(blocks / LEAST_BLOCKS)));
  const segments: Segment[] = [];
  for (let group = 0; group < part.groups; group++) {
    for (let i = 0; i < each; i++) {
      const first = Math.floor((i * blocks) / each);
      const end = Math.floor(((i + 1) * blocks) / each);
      const slots = new Int32Array(keyBlocks).fill(-1);
      let count = 0;
      for (let h = 0; h < perGroup; h++) {
        const { rowStart, column } = rowsOfHead(mask, (part.group + group) * perGroup + h);
        for (let e = rowStart[first]; e < rowStart[end]; e++) {
          if (slots[column[e]] < 0) slots[column[e]] = count++;
        }
      }
      for (let batch = 0; batch < part.batches; batch++) segments.push({ batch, group, first, end, slots, count });
    }
  }
  return segments.sort((a, b) => a.batch - b.batch || a.group - b.group || a.first - b.first);
}

/** Describes one attention call to the kernel: the words listed in kernel/job.ts, in the same order. */

import { type Dropout, dropBelow, seedWords } from '../dropout.ts';
import type { NumberType } from '../types.ts';
import { LINE_BYTES, MAXIMUM_LINES } from './score/plan.ts';

/** Where a tensor lies: address and strides in bytes. `block` is the step from one block of T rows to the next. */
export interface Place {
  readonly address: number;
  /** Default f32. */
  readonly type?: NumberType;
  readonly batch: number;
  readonly head: number;
  readonly row: number;
}

export interface BlockedPlace extends Place {
  readonly block: number;
}

/** A mask in the kernel's memory; see mask-upload.ts. */
export interface PlacedMask {
  readonly heads: number;
  readonly bitmaps: number;
  readonly ranges: number;
}

export interface Job {
  readonly batch: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly queries: number;
  /** Needed backward, and for weights. */
  readonly keys?: number;
  readonly queryWidth: number;
  readonly valueWidth: number;
  readonly q: Place;
  readonly k: BlockedPlace;
  readonly v: BlockedPlace;
  readonly output: Place;
  /** Address of [B, H, N]. */
  readonly lse: number;
  readonly scale: number;
  readonly softcap?: number;
  /** Address of [H], or 0. */
  readonly sinkLogits: number;
  readonly mask: PlacedMask;
  /** Where the job lies in the whole problem: what modifiers and dropout are told. Default 0. */
  readonly origin?: { readonly batch: number; readonly head: number; readonly queryOffset: number };
  /** A score modifier: the kernel's instance that is linked with it, and the address of its block of parameters. */
  readonly modifier?: { readonly instance: number; readonly parameters: number };
  readonly dropout?: Dropout;
  /**
   * Where the mask has some of the pairs: whether earlier jobs had others, the blocks of queries in its own order, and the most key
   * blocks that one of them sees.
   */
  readonly pass?: {
    readonly isLater: boolean;
    readonly queryBlocks: number;
    readonly mostKeyBlocks: number;
    /** Whether each key block is seen by one query block, and whether all keys are in such blocks. */
    readonly isOneToOne: boolean;
    readonly hasAllKeys: boolean;
  };
  /** Other queries (strides of q) with a mask of their own in the same softmax. */
  readonly second?: { readonly address: number; readonly mask: PlacedMask };
  /** A backward pass: its segments, or their sum. */
  readonly backward?: {
    readonly step: 'segments' | 'sum';
    readonly gradOutput: Place;
    /** [B, H, N]: the gradient of lse before, delta after the segments. */
    readonly delta: number;
    readonly gradQ: Place;
    readonly gradK: Place;
    readonly gradV: Place;
    /** SEGMENT_WORDS words for each. */
    readonly segments: number;
    readonly segmentCount: number;
    /** Gradients of keys and values are written, or added, where they belong, and there is nothing to sum. */
    readonly direct?: 'write' | 'add';
  };
  /** Attention weights of the query rows start .. end - 1: the address of their table (kernel/job.ts); lse may be 0. */
  readonly weights?: { readonly table: number; readonly start: number; readonly end: number };
  /** Nothing but conversion: q, in contiguous rows of the width of the values, becomes the output; one of them is f32. What is rounded is lost. */
  readonly rounds?: true;
}

export const SEGMENT_WORDS = 11;

export const JOB_WORDS = 85;
export const NEXT_TASK_WORD = 0;
export const CANCELLED_WORD = 2;
const LATER_WORD = 83;
const DONE_WORD = 84;
const T = 64;
/** Copies of key and value blocks that a worker keeps take about so many bytes: they shall stay in the cache of its processor. */
const COPIES_BYTES = 2 ** 19;
/** Bounds of their number. The least holds what a window of four blocks to either side sees, whatever the width. */
const [LEAST_SLOTS, MOST_SLOTS] = [10, 64];
const MOST_BLOCKS_PER_TASK = 8;
/** So that any usual number of threads finds work to the end. */
const LEAST_TASKS = 64;
/** As kernel/rows.ts numbers them. */
const NUMBER_TYPES: readonly NumberType[] = ['f32', 'f16', 'bf16'];
/** Widest panel of the builds. */
export const WIDEST_PANEL = 16;

/** Blocks of queries that each head has. */
function queryBlocks({ queries, pass }: Job): number {
  return pass?.queryBlocks ?? Math.ceil(queries / T);
}

export function taskCount(job: Job): number {
  const { batch, heads, keyValueHeads, keys = 0, backward, weights } = job;
  if (weights) return batch * heads * (Math.ceil(weights.end / T) - Math.floor(weights.start / T));
  if (backward?.step === 'segments') return backward.segmentCount;
  if (backward?.step === 'sum') return batch * keyValueHeads * Math.ceil(keys / T);
  return batch * heads * Math.ceil(queryBlocks(job) / blocksPerTask(job));
}

/** Neighbours come to the same worker where it keeps copies of the key blocks that they share; but tasks stay many. */
function blocksPerTask(job: Job): number {
  if (slotCount(job) === 0) return 1;
  const blocks = job.batch * job.heads * queryBlocks(job);
  return Math.min(MOST_BLOCKS_PER_TASK, Math.max(1, Math.floor(blocks / LEAST_TASKS)));
}

/** Without k and v, those of contiguous f32. */
type Shape = Pick<Job, 'keys' | 'queryWidth' | 'valueWidth' | 'pass'> & Partial<Pick<Job, 'k' | 'v'>>;

/** How many blocks of keys, and of values, a worker keeps copies of; 0 where all are read in place. */
function slotCount({ keys = Infinity, queryWidth, valueWidth, k, v, pass }: Shape): number {
  const inPlace = (place: Place | undefined, width: number) =>
    place === undefined || ((place.type ?? 'f32') === 'f32' && place.row === 4 * width);
  // A pass may have keys in an order of its own.
  if (!pass && inPlace(k, queryWidth) && inPlace(v, valueWidth)) return 0;
  const fit = Math.floor(COPIES_BYTES / (4 * T * (queryWidth + valueWidth)));
  // No more than are of use, so that they stay in the processor's nearest cache.
  return Math.max(
    1,
    Math.min(Math.max(fit, LEAST_SLOTS), MOST_SLOTS, Math.ceil(keys / T), pass?.mostKeyBlocks ?? Infinity),
  );
}

/** Bytes of all that kernel/rows.ts keeps. */
function blocksBytes(job: Shape): number {
  const slots = slotCount(job);
  return 128 + Math.ceil((slots * 24) / 64) * 64 + 4 * T * slots * (job.queryWidth + job.valueWidth);
}

/** Bytes of scratch that one worker needs; kernel/forward.ts and kernel/backward.ts list the pieces. */
export function scratchBytes(job: Shape & Pick<Job, 'backward'>): number {
  const { queryWidth, valueWidth, backward } = job;
  const floats = backward
    ? 2 * (queryWidth + padded(queryWidth) + valueWidth) + padded(valueWidth) + 2 * T + WIDEST_PANEL + 6
    : 2 * queryWidth + padded(valueWidth) + Math.max(queryWidth, valueWidth) + WIDEST_PANEL + 5;
  return MAXIMUM_LINES * LINE_BYTES + blocksBytes(job) + 4 * T * floats + 256;
}

/** Width of a row of sums: a whole number of panels. */
export function padded(width: number): number {
  return Math.ceil(width / WIDEST_PANEL) * WIDEST_PANEL;
}

/** Words of jobs that run as one: beside each that others follow, how many tasks of each of its heads are done. */
function wordsOfEach(jobs: readonly Job[]): number {
  return jobs.length === 1 ? JOB_WORDS : JOB_WORDS + jobs[0].batch * jobs[0].heads;
}

export function wordCount(jobs: readonly Job[]): number {
  return jobs.length * wordsOfEach(jobs);
}

/** Writes jobs over the same queries, each of which waits for the one before; `words` are wordCount() words of the kernel's memory. */
export function writeJobs(words: Uint32Array, jobs: readonly Job[]): void {
  const each = wordsOfEach(jobs);
  words.fill(0);
  for (const [i, job] of jobs.entries()) {
    const own = words.subarray(i * each, (i + 1) * each);
    writeJob(own, job);
    if (i + 1 === jobs.length) break;
    own[LATER_WORD] = own.byteOffset + 4 * each;
    own[DONE_WORD] = own.byteOffset + 4 * JOB_WORDS;
  }
}

/** Numbers the jobs: what a worker keeps copies of is one job's. */
let serial = 0;

function writeJob(words: Uint32Array, job: Job): void {
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  const { q, k, v, output } = job;
  words.set([0, taskCount(job), 0, job.heads, job.keyValueHeads, job.queries, job.queryWidth, job.valueWidth], 0);
  words.set([0, q.address, q.batch, q.head, q.row], 8);
  words.set([k.address, k.batch, k.head, k.row, k.block], 13);
  words.set([v.address, v.batch, v.head, v.row, v.block], 18);
  words.set([output.address, output.batch, output.head, output.row, job.lse], 23);
  floats[28] = job.modifier ? job.scale : job.softcap ? job.scale / job.softcap : job.scale * Math.LOG2E;
  floats[29] = job.softcap ? job.softcap * Math.LOG2E : 0;
  words.set([job.sinkLogits, job.mask.heads, job.mask.bitmaps, job.mask.ranges], 30);
  if (job.second) {
    const { address, mask } = job.second;
    words.set([address, mask.heads, mask.bitmaps, mask.ranges], 34);
  }
  if (job.backward) {
    const { step, gradOutput, delta, gradQ, gradK, gradV, segments, segmentCount } = job.backward;
    words.set([step === 'segments' ? 1 : 2, gradOutput.address, delta], 38);
    words.set([gradQ.address, gradK.address, gradV.address, segments, segmentCount], 41);
    words.set(
      [gradOutput, gradQ, gradK, gradV].flatMap(({ batch, head, row, type }) => [batch, head, row, typeWord(type)]),
      65,
    );
    words[46] = job.keys ?? 0;
    floats[47] = job.scale;
  }
  if (job.weights) {
    words.set([3, job.weights.table, job.weights.start, job.weights.end], 38);
    words[46] = job.keys ?? 0;
  }
  if (job.rounds) words[38] = 4;
  const { batch, head, queryOffset } = job.origin ?? { batch: 0, head: 0, queryOffset: 0 };
  words.set([job.modifier?.parameters ?? 0, batch, head, queryOffset], 48);
  if (job.dropout) {
    words[52] = dropBelow(job.dropout.rate);
    floats[53] = 1 / (1 - job.dropout.rate);
    words.set(seedWords(job.dropout.seed), 54);
  }
  words.set([queryBlocks(job), job.pass ? (job.pass.isLater ? 2 : 1) : 0], 56);
  words.set([typeWord(q.type), typeWord(k.type), typeWord(v.type), typeWord(output.type)], 58);
  serial = (serial + 1) | 0;
  words.set([serial, slotCount(job), blocksBytes(job)], 62);
  words[81] = blocksPerTask(job);
  if (job.backward?.direct) words[82] = job.backward.direct === 'write' ? 1 : 2;
}

function typeWord(type: NumberType = 'f32'): number {
  return NUMBER_TYPES.indexOf(type);
}

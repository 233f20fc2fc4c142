/** Describes one attention call to the kernel: the words listed in kernel/job.ts, in the same order. */

import { type Dropout, dropBelow, seedWords } from '../dropout.ts';
import { LINE_BYTES, MAXIMUM_LINES } from './score/plan.ts';

/** Where a tensor lies: address and strides in bytes. `block` is the step from one block of T rows to the next. */
export interface Place {
  readonly address: number;
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
  /** Where the mask has some of the pairs: whether earlier jobs had others, and the blocks of queries in its own order. */
  readonly pass?: { readonly isLater: boolean; readonly queryBlocks: number };
  /** Other queries (strides of q) with a mask of their own in the same softmax. */
  readonly second?: { readonly address: number; readonly mask: PlacedMask };
  /** A backward pass: its segments, or their sum. Addresses; strides are those of the tensor that each is the gradient of. */
  readonly backward?: {
    readonly step: 'segments' | 'sum';
    readonly gradOutput: number;
    /** [B, H, N]: the gradient of lse before, delta after the segments. */
    readonly delta: number;
    readonly gradQ: number;
    readonly gradK: number;
    readonly gradV: number;
    /** SEGMENT_WORDS words for each. */
    readonly segments: number;
    readonly segmentCount: number;
  };
  /** Attention weights of the query rows start .. end - 1: the address of their table (kernel/job.ts); lse may be 0. */
  readonly weights?: { readonly table: number; readonly start: number; readonly end: number };
}

export const SEGMENT_WORDS = 11;

export const JOB_WORDS = 58;
export const NEXT_TASK_WORD = 0;
export const CANCELLED_WORD = 2;
const T = 64;
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
  return batch * heads * queryBlocks(job);
}

/** Bytes of scratch that one worker needs; kernel/forward.ts and kernel/backward.ts list the pieces. */
export function scratchBytes({
  queryWidth,
  valueWidth,
  backward,
}: Pick<Job, 'queryWidth' | 'valueWidth' | 'backward'>): number {
  const floats = backward
    ? 4 * queryWidth + 3 * valueWidth + 2 * T + WIDEST_PANEL + 5
    : 3 * queryWidth + 2 * valueWidth + WIDEST_PANEL + 5;
  return MAXIMUM_LINES * LINE_BYTES + 4 * T * floats + 256;
}

export function writeJob(words: Uint32Array, job: Job): void {
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  words.fill(0);
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
    words.set([step === 'segments' ? 1 : 2, gradOutput, delta, gradQ, gradK, gradV, segments, segmentCount], 38);
    words[46] = job.keys ?? 0;
    floats[47] = job.scale;
  }
  if (job.weights) {
    words.set([3, job.weights.table, job.weights.start, job.weights.end], 38);
    words[46] = job.keys ?? 0;
  }
  const { batch, head, queryOffset } = job.origin ?? { batch: 0, head: 0, queryOffset: 0 };
  words.set([job.modifier?.parameters ?? 0, batch, head, queryOffset], 48);
  if (job.dropout) {
    words[52] = dropBelow(job.dropout.rate);
    floats[53] = 1 / (1 - job.dropout.rate);
    words.set(seedWords(job.dropout.seed), 54);
  }
  words.set([queryBlocks(job), job.pass ? (job.pass.isLater ? 2 : 1) : 0], 56);
}

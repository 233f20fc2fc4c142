import { createDevice, referenceAttention, type WasmDevice } from '../../../src/attention/index.ts';
import { FarfieldError } from '../../../src/errors.ts';
import { type BlockMask, compileMask, statistics } from '../../../src/mask/index.ts';
import { causal, complement, dense, intersect, type Pattern, parsePattern } from '../../../src/pattern/index.ts';
import { type Content, fillTensors } from './sample-tensors.ts';

export interface MeasureQuestion {
  /** As parsePattern reads it. */
  readonly pattern: string;
  readonly heads: number;
  /** D = E. */
  readonly width: number;
  /** n of each step, ascending. */
  readonly lengths: readonly number[];
  readonly content: Content;
  readonly threads?: number;
}

/** Dense attention beside the pattern: under a pattern in which no query sees a later key, dense attention with k <= q. */
export type Opponent = 'dense' | 'causal';

export type Side = 'pattern' | 'dense';

export interface Timing {
  readonly kind: 'timing';
  readonly tokens: number;
  readonly side: Side;
  /** Of a run, in the fastest of a few batches of runs: what else the machine did lengthens the others. */
  readonly milliseconds: number;
  readonly runs: number;
  /** Of the kernels' memory in use: tensors, mask, and the threads' scratch. */
  readonly bytes: number;
  /** Allowed pairs of all heads. */
  readonly pairs: number;
}

/** What leaving pairs out changes: the outputs o of the pattern beside the outputs d of dense attention. */
export interface Change {
  readonly kind: 'change';
  readonly tokens: number;
  /** |o - d| / |d|, over all heads and tokens. */
  readonly relative: number;
  /** The mean over queries of the attention that dense attention gives to pairs which the pattern leaves out. */
  readonly massLeftOut: number;
}

export type MeasurePart =
  | {
      readonly kind: 'device';
      readonly threads: number;
      readonly cores: number;
      readonly build: string;
      readonly opponent: Opponent;
    }
  /** How far the kernel is from the definition in float64, on the pattern at a small n. */
  | { readonly kind: 'check'; readonly tokens: number; readonly largestError: number; readonly largestOutput: number }
  | { readonly kind: 'running'; readonly tokens: number; readonly side: Side }
  | { readonly kind: 'unfit'; readonly tokens: number; readonly reason: string }
  | Timing
  | Change;

/** Queries and keys of the check: each head takes n^2 rows of float64 work in JavaScript. */
const CHECK_TOKENS = 192;
const BATCH_MILLISECONDS = 25;
const BATCHES = 5;

/** Attention of one layer over q, k and v of one length, in the kernels' memory. */
interface Tensors {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly outputs: Readonly<Record<Side, Float32Array>>;
}

/**
 * Runs the kernels on the pattern and on dense attention, length by length, both on the same q, k and v. Nothing in it is
 * estimated. Rejects with what createDevice() and attention() throw; a pattern that does not fit a length is a part 'unfit'.
 */
export async function* measure(question: MeasureQuestion): AsyncGenerator<MeasurePart> {
  const pattern = parsePattern(question.pattern);
  const { heads, lengths, threads } = question;
  await using device = await createDevice(threads === undefined ? {} : { threads });
  const isCausal = sees(intersect(pattern, complement(causal())), Math.min(1024, lengths[0] ?? 1024), heads) === 0;
  const opponent = isCausal ? 'causal' : 'dense';
  const cores = globalThis.navigator?.hardwareConcurrency ?? device.threads;
  yield { kind: 'device', threads: device.threads, cores, build: device.build, opponent };

  // Masks that are forgotten give their memory back at any time, which would be counted against another run.
  const masks: BlockMask[] = [];
  const check = await checkKernel(device, pattern, question, masks);
  yield check;
  const idle = device.heap.used;
  for (const tokens of lengths) {
    const own = ownMask(pattern, tokens, heads);
    if (typeof own === 'string') yield { kind: 'unfit', tokens, reason: own };
    const shape = { queries: tokens, keys: tokens, heads };
    const full = compileMask(isCausal ? causal() : dense(), shape);
    const kept = typeof own === 'string' ? undefined : own;
    masks.push(full, ...(kept ? [kept] : []));
    const empty = device.heap.used;
    const tensors = allocate(device, question, tokens);
    // q, k, v and one of the two outputs.
    const tensorBytes = ((device.heap.used - empty) / 5) * 4;
    const lse: Partial<Record<Side, Float32Array>> = {};
    for (const [side, mask] of [['pattern', kept] as const, ['dense', full] as const]) {
      if (mask === undefined) continue;
      yield { kind: 'running', tokens, side };
      const before = device.heap.used;
      const timed = await time(device, question, tensors, side, mask);
      const maskBytes = device.heap.used - before;
      lse[side] = timed.lse;
      const { milliseconds, runs } = timed;
      const { pairs } = statistics(mask);
      const bytes = idle + tensorBytes + maskBytes;
      yield { kind: 'timing', tokens, side, milliseconds, runs, bytes, pairs };
    }
    if (lse.pattern && lse.dense) {
      yield { kind: 'change', tokens, ...compare(tensors.outputs, { pattern: lse.pattern, dense: lse.dense }) };
    }
    for (const array of [tensors.q, tensors.k, tensors.v, ...Object.values(tensors.outputs)]) device.release(array);
  }
}

function sees(pattern: Pattern, tokens: number, heads: number): number {
  return statistics(compileMask(pattern, { queries: tokens, keys: tokens, heads, length: Infinity })).pairs;
}

/** The pattern's mask, or why there is none. */
function ownMask(pattern: Pattern, tokens: number, heads: number): BlockMask | string {
  try {
    return compileMask(pattern, { queries: tokens, keys: tokens, heads });
  } catch (error) {
    if (error instanceof FarfieldError) return error.message;
    throw error;
  }
}

function allocate(device: WasmDevice, { heads, width, content }: MeasureQuestion, tokens: number): Tensors {
  const array = () => device.allocate(heads * tokens * width);
  const tensors = { q: array(), k: array(), v: array(), outputs: { pattern: array(), dense: array() } };
  fillTensors(tensors, { heads, tokens, width }, content, tokens);
  return tensors;
}

async function checkKernel(
  device: WasmDevice,
  pattern: Pattern,
  question: MeasureQuestion,
  masks: BlockMask[],
): Promise<MeasurePart> {
  const { heads, width, content } = question;
  const shape = [1, heads, CHECK_TOKENS, width] as const;
  const array = () => new Float32Array(heads * CHECK_TOKENS * width);
  const data = { q: array(), k: array(), v: array() };
  fillTensors(data, { heads, tokens: CHECK_TOKENS, width }, content, 1);
  const mask = compileMask(pattern, { queries: CHECK_TOKENS, keys: CHECK_TOKENS, heads, length: Infinity });
  masks.push(mask);
  const options = {
    q: { data: data.q, shape },
    k: { data: data.k, shape },
    v: { data: data.v, shape },
    mask,
  };
  const { output } = await device.attention(options);
  const exact = referenceAttention(options);
  let [largestError, largestOutput] = [0, 0];
  for (const [i, number] of exact.output.entries()) {
    largestError = Math.max(largestError, Math.abs(output.data[i] - number));
    largestOutput = Math.max(largestOutput, Math.abs(number));
  }
  return { kind: 'check', tokens: CHECK_TOKENS, largestError, largestOutput };
}

async function time(
  device: WasmDevice,
  { heads, width }: MeasureQuestion,
  { q, k, v, outputs }: Tensors,
  side: Side,
  mask: BlockMask,
): Promise<{ milliseconds: number; runs: number; lse: Float32Array }> {
  const shape = [1, heads, mask.queries, width] as const;
  const options = {
    q: { data: q, shape },
    k: { data: k, shape },
    v: { data: v, shape },
    output: { data: outputs[side], shape },
    mask,
  };
  const started = performance.now();
  const { lse } = await device.attention(options);
  const first = performance.now() - started;
  // A long run is not repeated: what the first pays more, placing the mask, is then small beside it.
  if (first > 20 * BATCH_MILLISECONDS) return { milliseconds: first, runs: 1, lse };
  const perBatch = Math.max(1, Math.ceil(BATCH_MILLISECONDS / Math.max(first, 0.05)));
  let milliseconds = Infinity;
  for (let batch = 0; batch < BATCHES; batch++) {
    const start = performance.now();
    for (let run = 0; run < perBatch; run++) await device.attention(options);
    milliseconds = Math.min(milliseconds, (performance.now() - start) / perBatch);
  }
  return { milliseconds, runs: BATCHES * perBatch, lse };
}

function compare(
  outputs: Readonly<Record<Side, Float32Array>>,
  lse: Readonly<Record<Side, Float32Array>>,
): Omit<Change, 'kind' | 'tokens'> {
  let [apart, whole] = [0, 0];
  for (const [i, number] of outputs.dense.entries()) {
    apart += (outputs.pattern[i] - number) ** 2;
    whole += number ** 2;
  }
  // exp(lse) is the sum that the softmax divides by: the two sums' ratio is the share that the pattern's pairs have of it.
  let kept = 0;
  for (const [i, number] of lse.dense.entries()) kept += Math.exp(Math.min(0, lse.pattern[i] - number));
  return { relative: Math.sqrt(apart / whole), massLeftOut: 1 - kept / lse.dense.length };
}

/** Started by length.ts with a shape and a length: compiles the mask and runs once, in a process that does only this. */
import { peakResidentBytes } from '../src/cli/bench/peak-resident.ts';
import { compileMask, statistics } from '../src/mask/index.ts';
import { finish, readJob } from './alone.ts';
import { LongAttention, patternOf, type Shape } from './long-attention.ts';

export interface LengthJob {
  readonly shape: Shape;
  readonly length: number;
}

export interface AloneResult {
  /** The first compilation of a process, nothing warmed up. */
  readonly maskMilliseconds: number;
  /** How much the process grew at most while it compiled. */
  readonly maskGrowthBytes: number;
  /** What the mask keeps. */
  readonly maskBytes: number;
  /** Peak resident memory of the whole process: Node, the mask, one head's inputs and output, one run. */
  readonly peakMemoryBytes: number;
}

const { shape, length } = readJob<LengthJob>();
const residentBefore = process.memoryUsage.rss();
const start = performance.now();
const mask = compileMask(patternOf(shape), { queries: length, keys: length, heads: 1 });
const maskMilliseconds = performance.now() - start;
const maskGrowthBytes = Math.max(0, peakResidentBytes() - residentBefore);
const attention = await LongAttention.create(shape, length);
await attention.run(mask, new AbortController().signal);
finish({
  maskMilliseconds,
  maskGrowthBytes,
  maskBytes: statistics(mask).bytes,
  peakMemoryBytes: peakResidentBytes(),
} satisfies AloneResult);

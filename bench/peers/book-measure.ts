/** What the book benchmark does with readers: check them, warm them up, time them, weigh them. */

import { formatCount } from '../../src/cli/format.ts';
import type { Progress } from '../../src/cli/progress.ts';
import { FarfieldError } from '../../src/errors.ts';
import { runAlone } from '../alone.ts';
import type { CommandContext } from '../frame.ts';
import { type Idleness, measureIdleness } from '../quiet.ts';
import type { FlashSetting, Reader, ReaderName } from './reader.ts';
import type { ReaderJob } from './reader-alone.ts';

export interface Measurement {
  readonly name: ReaderName;
  readonly length: number;
  readonly prefillMilliseconds: number;
  /** Tokens read one by one afterwards, and their time. */
  readonly decode: number;
  readonly decodeMilliseconds: number;
  /** After the run: whether its threads had stopped, and how busy the machine was. */
  readonly idle: Idleness;
}

export interface MemoryMeasurement {
  readonly name: ReaderName;
  readonly length: number;
  readonly peakMemoryBytes: number;
}

/** The text's first `count` ids. Every reader must give the same. */
export function commonIds(readers: readonly Reader[], text: string, count: number): number[] {
  const [first, ...others] = readers.map((reader) => ({ reader, ids: reader.encode(text) }));
  if (first === undefined) throw new FarfieldError('--readers names nobody');
  if (first.ids.length < count) {
    throw new FarfieldError(
      `the text has ${formatCount(first.ids.length)} tokens, and ${formatCount(count)} are to be read`,
    );
  }
  for (const { reader, ids } of others) {
    const at = first.ids.findIndex((id, i) => id !== ids[i]);
    if (at >= 0) {
      throw new FarfieldError(
        `the readers split the text differently: token ${at} is ${first.ids[at]} for ${first.reader.name} and ${ids[at]} for ${reader.name}`,
      );
    }
  }
  return first.ids.slice(0, count);
}

/** Tokens that every reader reads before anything is timed: few enough for a window to see all of them. */
export const WARM_UP = 512;

/** Reads a little with every reader and gives what each would say next: under a window that sees it all they should agree. */
export async function warmUp(
  readers: readonly Reader[],
  ids: readonly number[],
  flash: FlashSetting,
  { signal }: CommandContext,
): Promise<Partial<Record<ReaderName, number>>> {
  const next: Partial<Record<ReaderName, number>> = {};
  for (const reader of readers) {
    const reading = await reader.open(WARM_UP + 1, flash);
    try {
      next[reader.name] = await reading.prefill(ids.slice(0, WARM_UP), { signal });
      await reading.decode(1, { signal });
    } finally {
      await reading.close();
    }
  }
  return next;
}

/** One run; `which` says for a person where in the plan it stands. */
export async function measure(
  reader: Reader,
  ids: readonly number[],
  options: { readonly decode: number; readonly flash: FlashSetting; readonly which: string },
  context: CommandContext,
): Promise<Measurement> {
  const { signal } = context;
  const { decode, flash, which } = options;
  const reading = await reader.open(ids.length + decode, flash);
  const watch = (progress: Progress) => ({ signal, onProgress: (tokens: number) => progress.update(tokens) });
  let prefillMilliseconds: number;
  let decodeMilliseconds: number;
  try {
    {
      using progress = context.progress({ label: `${which}: ${reader.name}`, unit: 'tokens', total: ids.length });
      const start = performance.now();
      await reading.prefill(ids, watch(progress));
      prefillMilliseconds = performance.now() - start;
    }
    {
      using progress = context.progress({ label: `${which}: ${reader.name} decodes`, unit: 'tokens', total: decode });
      const start = performance.now();
      await reading.decode(decode, watch(progress));
      decodeMilliseconds = performance.now() - start;
    }
  } finally {
    await reading.close();
  }
  return {
    name: reader.name,
    length: ids.length,
    prefillMilliseconds,
    decode,
    decodeMilliseconds,
    idle: await measureIdleness(),
  };
}

export interface FlashTrial {
  readonly flash: FlashSetting;
  /** Of two runs, the faster. */
  readonly milliseconds: number;
}

/** Tries llama.cpp with and without flash attention, in turns, twice each. */
export async function tryFlash(
  reader: Reader,
  ids: readonly number[],
  context: CommandContext,
): Promise<[faster: FlashTrial, slower: FlashTrial]> {
  const best: Record<'on' | 'off', number> = { on: Infinity, off: Infinity };
  for (const flash of ['on', 'off', 'off', 'on'] as const) {
    const run = await measure(reader, ids, { decode: 0, flash, which: `flash attention ${flash}` }, context);
    best[flash] = Math.min(best[flash], run.prefillMilliseconds);
  }
  const [on, off]: FlashTrial[] = [
    { flash: 'on', milliseconds: best.on },
    { flash: 'off', milliseconds: best.off },
  ];
  if (on === undefined || off === undefined) throw new TypeError('two trials');
  return on.milliseconds <= off.milliseconds ? [on, off] : [off, on];
}

const aloneProgram = new URL('./reader-alone.ts', import.meta.url);

/** Peak resident memory of processes that read `ids` once and do nothing else. */
export async function measureMemory(job: ReaderJob, context: CommandContext): Promise<MemoryMeasurement> {
  const peakMemoryBytes = await runAlone<number>(aloneProgram, job, context.signal);
  return { name: job.name, length: job.ids.length, peakMemoryBytes };
}

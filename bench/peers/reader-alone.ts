/** Started by book.ts: reads a text with one reader, in a process that does only this; prints its peak resident memory in bytes. */
import { peakResidentBytes } from '../../src/cli/bench/peak-resident.ts';
import { finish, readJob } from '../alone.ts';
import { type FlashSetting, openReader, type ReaderName, type ReaderOptions } from './reader.ts';

export interface ReaderJob {
  readonly name: ReaderName;
  readonly options: ReaderOptions;
  readonly flash: FlashSetting;
  readonly ids: readonly number[];
}

const { name, options, flash, ids } = readJob<ReaderJob>();
const reader = await openReader(name, options);
const reading = await reader.open(ids.length, flash);
await reading.prefill(ids, { signal: new AbortController().signal });
finish(peakResidentBytes());

/** Started by storage.ts: one forward run with one way of storing, in a process that does only this. */
import { peakResidentBytes } from '../src/cli/bench/peak-resident.ts';
import { finish, readJob } from './alone.ts';
import { type Shape, StoredAttention, type Storing } from './stored-attention.ts';

export interface StorageJob {
  readonly shape: Shape;
  readonly storing: Storing;
}

export interface StorageResult {
  /** Of the whole process: Node, the inputs, the output, one run. */
  readonly peakMemoryBytes: number;
}

const { shape, storing } = readJob<StorageJob>();
const attention = await StoredAttention.create(shape, storing);
await attention.forward();
finish({ peakMemoryBytes: peakResidentBytes() } satisfies StorageResult);

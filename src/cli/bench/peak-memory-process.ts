import { type ContenderName, contenders } from './contenders.ts';
import { peakResidentBytes } from './peak-resident.ts';
import type { Problem } from './problem.ts';

/** Started by peak-memory.ts with a contender's name and a problem; prints the peak resident memory of this process. */
const [name, problem] = process.argv.slice(2) as [ContenderName, string];
const contender = await contenders[name].prepare(JSON.parse(problem) as Problem);
const { signal } = new AbortController();
await contender.run(signal);
await contender.run(signal);
process.stdout.write(`${peakResidentBytes()}\n`, () => process.exit());

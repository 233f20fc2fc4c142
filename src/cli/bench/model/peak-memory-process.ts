import { peakResidentBytes } from '../peak-resident.ts';
import { type ModelContenderName, modelContenders } from './contenders.ts';
import type { Subject } from './subject.ts';

/** Started by bench-model.ts with a contender's name, a subject and the lengths of texts; prints the peak resident memory of this process. */
const [name, subject, lengths] = process.argv.slice(2) as [ModelContenderName, string, string];
const { signal } = new AbortController();
const contender = await modelContenders[name].prepare(JSON.parse(subject) as Subject, signal);
await contender.run(JSON.parse(lengths) as number[], signal);
process.stdout.write(`${peakResidentBytes()}\n`, () => process.exit());

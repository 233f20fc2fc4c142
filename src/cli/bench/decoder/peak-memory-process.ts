import { peakResidentBytes } from '../peak-resident.ts';
import { type DecoderContenderName, type DecoderSubject, decoderContenders } from './contenders.ts';

/** Started by bench-decoder.ts with a contender's name, a subject and a length; prints the peak resident memory of this process. */
const [name, subject, tokens] = process.argv.slice(2) as [DecoderContenderName, string, string];
const { signal } = new AbortController();
const contender = await decoderContenders[name].prepare(JSON.parse(subject) as DecoderSubject, signal);
await contender.run(Number(tokens), signal);
process.stdout.write(`${peakResidentBytes()}\n`, () => process.exit());

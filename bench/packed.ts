/**
 * Texts of different lengths in one batch: packed one behind the other, beside the same texts padded to the longest, which is what a batch
 * costs without packing. Attention under a window, so that the work goes with the tokens.
 *
 *     npm run bench:packed -- --model ../shared/models/minilm-l6-v2
 */
import { parseArgs } from 'node:util';
import { loadEncoder } from '../src/model/index.ts';
import { parsePattern } from '../src/pattern/index.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: '../shared/models/minilm-l6-v2' },
    texts: { type: 'string', default: '32' },
    longest: { type: 'string', default: '512' },
    pattern: { type: 'string', default: 'window:64' },
    repeat: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
  },
});
const [count, longest, repeat] = [options.texts, options.longest, options.repeat].map(Number) as [
  number,
  number,
  number,
];
await using encoder = await loadEncoder(options.model, {
  task: 'base',
  pattern: parsePattern(options.pattern),
  threads: Number(options.threads),
});
// Short texts are many, long ones few: from a sixteenth of the longest on.
const lengths = Array.from({ length: count }, (_, i) => Math.round(longest * (1 / 16) ** (i / (count - 1))));
const idsOf = (length: number, text: number) =>
  Array.from({ length }, (_, i) => 1000 + ((i * 37 + text * 101) % 20_000));
const batches = {
  packed: lengths.map(idsOf),
  padded: lengths.map((_, text) => idsOf(longest, text)),
};
const seconds: Record<string, number[]> = { packed: [], padded: [] };
for (let round = 0; round <= repeat; round++) {
  for (const [name, inputIds] of Object.entries(batches)) {
    const start = performance.now();
    await encoder.run({ inputIds, outputs: ['mean'] });
    if (round > 0) seconds[name]?.push((performance.now() - start) / 1000);
  }
}
const median = (list: number[] = []) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
const tokens = lengths.reduce((sum, length) => sum + length, 0);
const [packed, padded] = [median(seconds.packed), median(seconds.padded)];
const rate = (own: number, time: number) => Math.round(own / time).toLocaleString('en-US');
console.log(
  `${count} texts of ${Math.min(...lengths)} to ${longest} tokens, ${tokens.toLocaleString('en-US')} in all; medians of ${repeat} in turns`,
);
console.log(`packed: ${packed.toFixed(3)} s, ${rate(tokens, packed)} tokens/s`);
console.log(`padded: ${padded.toFixed(3)} s, ${rate(count * longest, padded)} tokens/s, padding counted`);
console.log(`time ${(padded / packed).toFixed(2)}x, rows ${((count * longest) / tokens).toFixed(2)}x`);

/**
 * Bits per byte of files that farfield-small was not trained on, beside gzip -9 and xz -9 of the same bytes (xz must be installed):
 *
 *     node training/farfield-small/measure.ts [--model farfield-small] [--length BYTES] [--windows] FILE...
 *
 * Each file is read from its first byte to its last in one stream, under the pattern the model was trained with; with --windows in
 * sequences of the model's context, each from its own beginning.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { loadLanguageModel } from '../../src/model/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';
import { perplexity } from '../../src/task/index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'farfield-small' },
    pattern: { type: 'string' },
    length: { type: 'string', default: 'Infinity' },
    windows: { type: 'boolean', default: false },
  },
});
await using model = await loadLanguageModel(values.model);
const pattern = values.pattern === undefined ? {} : { pattern: parsePattern(values.pattern) };
for (const path of positionals) {
  const bytes = readFileSync(path).subarray(0, Number(values.length));
  if (bytes.length === 0) throw new Error(`${path} is empty: there is nothing to measure`);
  // With --windows: sequences of the context, each from its own beginning, as in training.
  const size = values.windows ? model.config.context : bytes.length;
  let [bits, seconds] = [0, 0];
  for (let from = 0; from < bytes.length; from += size) {
    const part = bytes.subarray(from, from + size);
    const ids = Int32Array.from([model.tokenizer.bosToken ?? 256, ...part]);
    const result = await perplexity({
      model,
      ids,
      positions: 'given',
      ...pattern,
      onProgress: ({ done }) => note(path, from + done, bytes.length),
    });
    bits += result.losses.reduce((sum, nats) => sum + nats, 0) / Math.LN2;
    seconds += result.seconds;
  }
  const perByte = (packed: number) => ((8 * packed) / bytes.length).toFixed(3);
  const xz = execFileSync('xz', ['-9', '--stdout'], { input: bytes, maxBuffer: 2 ** 30 }).length;
  const row = [
    basename(path),
    `${bytes.length} bytes`,
    `${(bits / bytes.length).toFixed(3)} ${basename(values.model)}`,
    `${perByte(xz)} xz -9`,
    `${perByte(gzipSync(bytes, { level: 9 }).length)} gzip -9`,
    `${Math.round(bytes.length / seconds)} bytes/s`,
  ];
  process.stdout.write(`${row.join('  ')}\n`);
}

function note(path: string, done: number, total: number): void {
  if (process.stderr.isTTY)
    process.stderr.write(`\r${basename(path)}: ${done} of ${total} bytes\u001b[K${done >= total ? '\r\u001b[K' : ''}`);
}

/**
 * What sparse attention saves on a long real file, measured here and now:
 *
 *     npm run demo [-- FILE] [-- --pattern "sinks:4+window:256"]
 *
 * FILE defaults to TypeScript's lib.dom.d.ts, which npm has brought. There is no model in it yet: every byte is one token, and
 * a seeded random table turns it into a query, a key and a value, so the work is real and the result means nothing.
 */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { formatBytes, formatCount, formatDuration, formatPercent, formatRate } from '../src/cli/format.ts';
import {
  causal,
  compileMask,
  dense,
  drawText,
  FarfieldError,
  formatPattern,
  intersect,
  type Pattern,
  parsePattern,
  statistics,
} from '../src/index.ts';
import type { Measurement, Request } from './demo-measure.ts';

const LENGTHS = [4096, 16_384, 65_536, 262_144, 1_048_576];
/** Tokens of the mask that is drawn. */
const DRAWN = 4096;
/** Dense attention that would take longer, in milliseconds, is worked out from the length before. */
const DENSE_LIMIT = 15_000;

/** The table's columns and their widths. */
const COLUMNS = [
  ['tokens', 9],
  ['pairs kept', 11],
  ['of causal', 9],
  ['sparse', 8],
  ['dense', 16],
  ['faster', 7],
  ['memory', 8],
  ['dense memory', 12],
] as const;

const here = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

try {
  const { file, pattern } = readArguments();
  await demonstrate(file, pattern);
} catch (error) {
  if (!(error instanceof FarfieldError)) throw error;
  process.stderr.write(`demo: ${error.message}\n`);
  process.exitCode = 1;
}

function readArguments(): { file: string; pattern: Pattern } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { pattern: { type: 'string', default: 'sinks:4+window:256' } },
  });
  const file = positionals[0] ?? `${here}node_modules/typescript/lib/lib.dom.d.ts`;
  return { file, pattern: intersect(parsePattern(values.pattern), causal()) };
}

async function demonstrate(file: string, pattern: Pattern): Promise<void> {
  const size = sizeOf(file);
  const lengths = LENGTHS.filter((length) => length <= size);
  if (lengths.length === 0) throw new FarfieldError(`${file} has ${size} bytes; at least ${LENGTHS[0]} are needed`);

  say(`${relative(process.cwd(), file)}: ${formatCount(size)} bytes, each of them one token.`);
  say('There is no model in this: a seeded random table makes queries, keys and values of the bytes.\n');
  say(`${formatPattern(pattern)}, drawn for ${formatCount(DRAWN)} tokens, queries downwards, keys to the right:\n`);
  const mask = compileMask(pattern, { queries: DRAWN, keys: DRAWN, heads: 1 });
  say(drawText(mask, { columns: 66 }));

  say('\nAttention, one head of 64, causal; sparse by the pattern, and dense by the same kernels:\n');
  say(tableRow(COLUMNS.map(([title]) => title)));
  await measureAll(file, pattern, lengths);

  const longest = lengths.at(-1) ?? 0;
  say(
    '\nEach figure is a median in a process of its own; memory is the peak of that process, Node (about 60 MB) included.' +
      '\n"about" is 16 times the figure before, not measured. Neither side stores the scores; as a matrix, those of' +
      `\n${formatCount(longest)} tokens would take ${formatBytes(4 * longest ** 2)}.`,
  );
}

async function measureAll(file: string, pattern: Pattern, lengths: readonly number[]): Promise<void> {
  let denseBefore: number | undefined;
  for (const length of lengths) {
    const { pairs, densityOfCausal } = statistics(compileMask(pattern, { queries: length, keys: length, heads: 1 }));
    const sparse = await measure({ file, length, pattern });
    const predicted: number = denseBefore === undefined ? 0 : 16 * denseBefore;
    const measured =
      predicted < DENSE_LIMIT ? await measure({ file, length, pattern: intersect(dense(), causal()) }) : undefined;
    denseBefore = measured?.milliseconds ?? predicted;
    clearLine();
    say(
      tableRow([
        formatCount(length),
        formatCount(pairs),
        formatPercent(densityOfCausal),
        formatDuration(sparse.milliseconds),
        `${measured === undefined ? 'about ' : ''}${formatDuration(denseBefore)}`,
        `${formatRate(denseBefore / sparse.milliseconds)}x`,
        formatBytes(sparse.peakMemoryBytes),
        measured === undefined ? '' : formatBytes(measured.peakMemoryBytes),
      ]),
    );
  }
}

function tableRow(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padStart(COLUMNS[i]?.[1] ?? 0))
    .join('  ')
    .trimEnd();
}

async function measure(request: Request): Promise<Measurement> {
  if (process.stderr.isTTY) {
    clearLine();
    const what = request.pattern.kind === 'intersect' && request.pattern.of[0]?.kind === 'dense' ? 'dense' : 'sparse';
    process.stderr.write(`measuring ${what} attention over ${formatCount(request.length)} tokens`);
  }
  const { stdout } = await run(process.execPath, [`${here}scripts/demo-measure.ts`, JSON.stringify(request)]);
  return JSON.parse(stdout) as Measurement;
}

function clearLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K');
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    throw new FarfieldError(`there is no file ${file}`);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

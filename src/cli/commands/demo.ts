import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { counted } from '../../counted.ts';
import { FarfieldError } from '../../errors.ts';
import { type LanguageModel, loadLanguageModel } from '../../model/index.ts';
import { dense, formatPattern, type Pattern } from '../../pattern/index.ts';
import { generate, type PerplexityResult, perplexity, surprisingPassages } from '../../task/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { drawHeat, HEAT_STEPS, heatedCharacters } from '../demo/heat.ts';
import { drawPage, type PagePassage } from '../demo/page.ts';
import { formatBytes, formatCount, formatDuration, formatRate, formatTable, wrap } from '../format.ts';
import { checkOutputFile, writeOutputFile } from '../output-file.ts';
import { readText } from './model-options.ts';
import { figuresOf } from './perplexity-figures.ts';

interface Options {
  readonly file?: string;
  readonly length: number;
  readonly denseLength: number;
  readonly continue: number;
  readonly html?: string;
  readonly threads?: number;
}

/** Long texts that npm brings, beside a file that Node finds by its name; the first that is there is read. */
const TEXTS = [
  ['@types/node/package.json', 'fs.d.ts'],
  ['commander', 'lib/command.js'],
] as const;
/** Bytes of the text's end that are continued. */
const PROMPT = 4096;
const NEWLINE = 10;
/** Bytes by which a passage is extended at most, to show whole lines. */
const NEAR = 100;
/** Points of the page's curve. */
const PARTS = 200;

export const registerDemo: Register = (program, start) => {
  const command = addCommand(program, 'demo', {
    summary: 'read a long text with the model that comes with Farfield, and show what surprised it',
    description:
      'Reads a text byte by byte with farfield-small, beside the same weights under dense attention: speed, memory, and bits per byte. ' +
      'Marks the passages that it predicted worst, and goes on with the text.',
    examples: [
      { does: 'a long file that npm has brought', command: 'farfield demo' },
      { does: 'a book, with a page of what was found', command: 'farfield demo book.txt --html book.html' },
    ],
  })
    .argument('[file]', 'a UTF-8 text')
    .option('--length <bytes>', 'bytes to read from its start', integer(2), 65_536)
    .option(
      '--dense-length <bytes>',
      'bytes to read with dense attention too, whose time grows with their square',
      integer(2),
      16_384,
    )
    .option('--continue <bytes>', 'bytes to add to the end of what was read', integer(0), 400)
    .option('--html <file>', 'write a page of what was found')
    .option('--threads <count>', 'threads; default: one for each core', integer(1));
  const run = start<Options>((options, context) => demonstrate({ ...options, file: command.args[0] }, context));
  command.action(() => run.call(command));
};

async function demonstrate(options: Options, context: CommandContext): Promise<void> {
  if (options.html !== undefined) await checkOutputFile(options.html, '--html');
  const path = options.file ?? defaultText();
  const whole = new TextEncoder().encode(await readText(path, 'demo'));
  if (whole.length < 2)
    throw new FarfieldError(`demo ${path}: it has ${counted(whole.length, 'byte')}; there is nothing to predict`);
  const bytes = whole.subarray(0, characterEnd(whole, Math.min(options.length, whole.length)));
  await using model = await loadLanguageModel('farfield-small', {
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    signal: context.signal,
  });
  const ids = idsOf(model, bytes);
  const short = Math.min(options.denseLength, bytes.length) + 1;
  const title = relative(process.cwd(), path) || path;
  context.stream(
    `${title}: ${formatCount(bytes.length)}${bytes.length < whole.length ? ` of ${formatCount(whole.length)}` : ''} bytes\n`,
  );
  const result = await read(model, ids, 'reading', context);
  const start = await read(model, ids.subarray(0, short), 'reading its start', context);
  const denseStart = await read(model, ids.subarray(0, short), 'reading its start, dense', context, dense());
  const gzip = (8 * gzipSync(bytes, { level: 9 }).length) / bytes.length;
  const figures = tableOf(result, start, denseStart, gzip);
  const remarks = remarksOf(result, denseStart);
  context.stream(
    `\n${formatTable(figures, [1, 2, 3, 4, 5])}\n\n${remarks.map((remark) => wrap(remark, context.columns)).join('\n')}\n`,
  );
  const passages = passagesOf(bytes, result.losses);
  context.stream(describePassages(passages, context));

  context.stream('\nHow it goes on:\n\n');
  const { text: continuation } = await generate({
    model,
    ids: ids.subarray(Math.max(0, ids.length - PROMPT)),
    maxTokens: options.continue,
    // Below 1 it falls into the spaces that begin every line of a declaration file.
    temperature: 1,
    topP: 0.95,
    seed: 1,
    onText: (piece) => context.stream(printable(piece)),
    signal: context.signal,
  });
  context.stream('\n');
  if (options.html !== undefined) {
    const course = courseOf(result.losses);
    await writeOutputFile(
      options.html,
      drawPage({ title, figures, remarks, course, passages, continuation }),
      context.signal,
    );
  }
  context.result(
    {
      file: path,
      bytes: bytes.length,
      ...figuresOf(result),
      gzipBitsPerByte: gzip,
      start: figuresOf(start),
      denseStart: figuresOf(denseStart),
      passages: passages.map(({ line, bitsPerByte, characters }) => ({
        line,
        bitsPerByte,
        text: characters.map(({ text }) => text).join(''),
      })),
      continuation,
      ...(options.html === undefined ? {} : { html: options.html }),
    },
    options.html === undefined ? '' : `\nWritten: ${options.html}`,
  );
}

function defaultText(): string {
  const { resolve } = createRequire(import.meta.url);
  for (const [known, file] of TEXTS) {
    try {
      const path = join(dirname(resolve(known)), file);
      if (existsSync(path)) return path;
    } catch {
      // Not every installation has it.
    }
  }
  throw new FarfieldError('demo: name a text to read');
}

/** The end of the last whole character in the first `end` bytes of a UTF-8 text. */
function characterEnd(bytes: Uint8Array, end: number): number {
  let at = end;
  while (at < bytes.length && at > 0 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at--;
  return at;
}

/** The first token of a document, and the bytes. */
function idsOf({ tokenizer }: LanguageModel, bytes: Uint8Array): Int32Array {
  const ids = new Int32Array(bytes.length + 1);
  ids[0] = tokenizer.bosToken ?? 0;
  ids.set(bytes, 1);
  return ids;
}

async function read(
  model: LanguageModel,
  ids: Int32Array,
  label: string,
  context: CommandContext,
  pattern?: Pattern,
): Promise<PerplexityResult> {
  using line = context.progress({ label, unit: 'bytes', total: ids.length });
  return await perplexity({
    model,
    ids,
    positions: 'given',
    ...(pattern === undefined ? {} : { pattern }),
    onProgress: ({ done }) => line.update(done),
    signal: context.signal,
  });
}

function tableOf(
  whole: PerplexityResult,
  start: PerplexityResult,
  denseStart: PerplexityResult,
  gzip: number,
): string[][] {
  const row = (name: string, run: PerplexityResult): string[] => [
    name,
    formatCount(run.tokens - 1),
    formatDuration(1000 * run.seconds),
    formatRate(run.tokensPerSecond),
    formatBytes(run.cacheBytes),
    run.bitsPerByte.toFixed(3),
  ];
  return [
    ['attention', 'bytes', 'time', 'bytes/s', 'keys and values', 'bits per byte'],
    row('sparse', whole),
    ...(start.tokens === whole.tokens ? [] : [row('sparse', start)]),
    row('dense', denseStart),
    ['gzip -9', formatCount(whole.tokens - 1), '', '', '', gzip.toFixed(3)],
  ];
}

function remarksOf(whole: PerplexityResult, denseStart: PerplexityResult): string[] {
  const growth = (whole.tokens / denseStart.tokens) ** 2;
  const peak =
    whole.peakMemoryBytes === undefined
      ? []
      : [`Peak memory of the process while it read: ${formatBytes(whole.peakMemoryBytes)}.`];
  return [
    `Sparse is what the model was trained with: ${formatPattern(whole.pattern)}. Dense has the same weights.`,
    ...(growth > 2
      ? [
          `Dense attention over all of it would take up to ${formatCount(growth)} times the time of its start, and ${formatBytes((denseStart.cacheBytes * whole.tokens) / denseStart.tokens)} of keys and values.`,
        ]
      : []),
    ...peak,
  ];
}

/** The passages, from the beginning of a line to the end of one where these are near. */
function passagesOf(bytes: Uint8Array, losses: Float32Array): PagePassage[] {
  return surprisingPassages(losses, { count: 5, length: 160 }).map(({ start, end, loss }) => {
    const before = bytes.lastIndexOf(NEWLINE, start - 1) + 1;
    const after = bytes.indexOf(NEWLINE, end);
    const from = start - before <= NEAR ? before : characterEnd(bytes, start);
    const to = after >= 0 && after - end <= NEAR ? after : characterEnd(bytes, end);
    const bits = losses.subarray(from, to).map((nats) => nats / Math.LN2);
    const text = new TextDecoder().decode(bytes.subarray(from, to));
    return {
      line: 1 + bytes.subarray(0, from).reduce((lines, byte) => lines + (byte === NEWLINE ? 1 : 0), 0),
      bitsPerByte: loss / Math.LN2,
      characters: heatedCharacters(text, bits),
    };
  });
}

function describePassages(passages: readonly PagePassage[], { columns, colour }: CommandContext): string {
  const [low, middle, high] = HEAT_STEPS;
  const legend = colour
    ? `yellow: more than ${low} bits for a character, orange: ${middle}, red: ${high}`
    : `. more than ${low} bits for a character, : ${middle}, # ${high}`;
  const parts = passages.map(
    ({ line, bitsPerByte, characters }) =>
      `line ${formatCount(line)}, ${bitsPerByte.toFixed(2)} bits per byte\n${drawHeat(characters, columns - 2, colour)
        .map((text) => `  ${text}`)
        .join('\n')}\n`,
  );
  return `\nWhat surprised it most (${legend}):\n\n${parts.join('\n')}`;
}

/** Mean bits per byte of equal parts of the text. */
function courseOf(losses: Float32Array): number[] {
  const parts = Math.min(PARTS, losses.length);
  return Array.from({ length: parts }, (_, i) => {
    const part = losses.subarray(
      Math.floor((i * losses.length) / parts),
      Math.floor(((i + 1) * losses.length) / parts),
    );
    return part.reduce((sum, nats) => sum + nats, 0) / part.length / Math.LN2;
  });
}

/** Without what moves a terminal's cursor or changes its colours. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}]/gu, (character) => (character === '\n' || character === '\t' ? character : ' '));
}

/**
 * The explorer in the system's Chromium: `npm run build && npm run bench:explorer`. How soon its first content and its picture
 * stand there, in a fresh profile each time; how long a frame takes while a million tokens are panned; and what its files weigh.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type Browser, chromium } from 'playwright-core';
import { median } from '../src/cli/bench/timing.ts';
import { integer } from '../src/cli/command.ts';
import { formatBytes, formatDuration, formatTable } from '../src/cli/format.ts';
import { serveFolders } from '../src/cli/serve-folders.ts';
import { FarfieldError } from '../src/errors.ts';
import { executable, launchArguments } from '../test/browser/browser.ts';
import { FRAMES, NO_FRAME_LIMIT, pan } from '../test/explorer/pan.ts';
import { benchmark, type CommandContext, type OptionValues, start } from './frame.ts';

interface Options extends OptionValues {
  readonly repeat: number;
  readonly pattern: string;
  readonly length: number;
}

const folder = fileURLToPath(new URL('../dist/explorer', import.meta.url));

async function run(options: Options, { result, progress, signal }: CommandContext): Promise<void> {
  const { repeat, pattern, length } = options;
  if (!existsSync(`${folder}/index.html`)) throw new FarfieldError('dist/explorer/ is missing; npm run build makes it');
  if (!existsSync(executable)) throw new FarfieldError(`there is no ${executable}; FARFIELD_CHROMIUM names another`);
  await using server = await serveFolders({ '/': folder });
  const browser = await chromium.launch({ executablePath: executable, args: [...launchArguments, ...NO_FRAME_LIMIT] });
  try {
    const url = `${server.url}#${new URLSearchParams({ pattern, n: String(length) })}`;
    const loads: Load[] = [];
    using line = progress({ label: 'loading', unit: 'times', total: repeat });
    for (let i = 0; i < repeat; i++) {
      signal.throwIfAborted();
      loads.push(await load(browser, server.url));
      line.update(i + 1);
    }
    const frames = await pan(browser, url);
    const files = weigh();
    const firstContent = median(loads.map(({ firstContent }) => firstContent));
    const usable = median(loads.map(({ usable }) => usable));
    const frame = median(frames.milliseconds);
    const slowest = Math.max(...frames.milliseconds);
    const first = files.filter(({ isFirst }) => isFirst);
    const total = (of: readonly FileWeight[], field: 'bytes' | 'compressed'): number =>
      of.reduce((sum, file) => sum + file[field], 0);
    const report = { firstContent, usable, frame, slowest, tiles: frames.tiles, pattern, length, loads, files };
    const table = formatTable([
      ['first content', formatDuration(firstContent), `median of ${repeat} loads in fresh profiles`],
      ['usable: panel and picture', formatDuration(usable), ''],
      [
        'a frame while panning',
        formatDuration(frame),
        `median of ${FRAMES}, the slowest ${formatDuration(slowest)}; ${length.toLocaleString('en')} tokens, at most ${frames.tiles} tiles`,
      ],
      [
        'what the first picture needs',
        formatBytes(total(first, 'compressed')),
        `compressed, ${formatBytes(total(first, 'bytes'))} as they are`,
      ],
      ['all sections', formatBytes(total(files, 'compressed')), `compressed, ${formatBytes(total(files, 'bytes'))}`],
    ]);
    const sizes = formatTable(
      files.map(({ name, bytes, compressed }) => [name, formatBytes(bytes), formatBytes(compressed)]),
    );
    result(report, `${table}\n\nFiles, and their size compressed (* for the first picture)\n${sizes}`);
  } finally {
    await browser.close();
  }
}

interface Load {
  readonly firstContent: number;
  readonly usable: number;
}

/** Milliseconds from the start of the navigation. */
async function load(browser: Browser, url: string): Promise<Load> {
  await using context = await browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => {
    const look = (): void => {
      if (document.querySelector('#pattern') !== null && document.querySelector('canvas[data-missing="0"]') !== null)
        performance.mark('usable');
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName('usable').length > 0);
  return await page.evaluate(() => ({
    firstContent: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    usable: performance.getEntriesByName('usable')[0].startTime,
  }));
}

interface FileWeight {
  readonly name: string;
  readonly bytes: number;
  readonly compressed: number;
  readonly isFirst: boolean;
}

function weigh(): FileWeight[] {
  const names = ['index.html', ...readdirSync(`${folder}/assets`).map((name) => `assets/${name}`)];
  return names
    .map((path) => {
      const content = readFileSync(`${folder}/${path}`);
      const isFirst = /index|Matrix|engine-worker|inter-latin/.test(path);
      // Names without what stands for their content.
      const name = `${isFirst ? '*' : ' '} ${path.replace(/^assets\//, '').replace(/-[\w-]{8}(?=\.\w+$)/, '')}`;
      return { name, bytes: content.length, compressed: gzipSync(content).length, isFirst };
    })
    .sort((a, b) => Number(b.isFirst) - Number(a.isFirst) || b.bytes - a.bytes);
}

await start(
  benchmark('bench:explorer', 'Times the explorer in the system’s Chromium, and weighs its files.', [
    ['as in docs/benchmarks.md', 'npm run bench:explorer'],
  ])
    .option('--repeat <count>', 'loads', integer(1), 5)
    .option('--pattern <pattern>', 'the pattern that is panned', 'causal&(sinks:4+window:256)')
    .option('--length <tokens>', 'tokens that are panned', integer(16), 2 ** 20),
  run,
);

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allows, type Pattern, parsePattern } from '../../src/pattern/index.ts';
import { executable, hasChromium, launchArguments } from '../browser/browser.ts';

const root = fileURLToPath(new URL('../../explorer', import.meta.url));

interface View {
  readonly left: number;
  readonly top: number;
  readonly scale: number;
}

describe.skipIf(!hasChromium)('the explorer in Chromium', () => {
  let folder: string;
  let server: PreviewServer;
  let browser: Browser;
  let page: Page;
  let url: string;
  const troubles: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-explorer-'));
    const outDir = join(folder, 'dist');
    await build({ root, logLevel: 'warn', build: { outDir, emptyOutDir: true } });
    server = await preview({ root, logLevel: 'warn', build: { outDir }, preview: { port: 0, host: '127.0.0.1' } });
    url = server.resolvedUrls?.local[0] ?? '';
    browser = await chromium.launch({ executablePath: executable, args: [...launchArguments] });
    page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
    page.on('pageerror', (error) => troubles.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') troubles.push(message.text());
    });
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Opens a state in a fresh page and waits until it is drawn. */
  async function open(pattern: string, tokens: number): Promise<void> {
    await page.goto('about:blank');
    await page.goto(`${url}#${new URLSearchParams({ pattern, n: String(tokens) })}`);
    await drawn();
  }

  async function drawn(): Promise<void> {
    await page.waitForSelector('[aria-busy=false]:not([data-generation="0"]) canvas[data-missing="0"]');
  }

  const view = async (): Promise<View> => JSON.parse((await page.getAttribute('canvas', 'data-view')) ?? '');

  /** Red, green and blue at the middle of each pair's cell. */
  async function colours(pairs: readonly (readonly [number, number])[]): Promise<string[]> {
    const { left, top, scale } = await view();
    const points = pairs.map(([q, k]) => [left + (k + 0.5) * scale, top + (q + 0.5) * scale]);
    return page.evaluate((points) => {
      const canvas = document.querySelector('canvas');
      if (canvas === null) return [];
      const copy = new OffscreenCanvas(canvas.width, canvas.height);
      const context = copy.getContext('2d', { willReadFrequently: true });
      context?.drawImage(canvas, 0, 0);
      return points.map(([x, y]) => [...(context?.getImageData(x, y, 1, 1).data ?? [])].join());
    }, points);
  }

  it.each([
    ['causal&(sinks:4+window:5)', 48],
    ['strided(stride=12)', 96],
    ['bigBird(block=16,window=3,global=1,random=1,seed=3)', 160],
  ])('draws %s as it is defined', async (text, tokens) => {
    await open(text, tokens);
    const pattern: Pattern = parsePattern(text);
    const pairs = Array.from({ length: 400 }, (_, i) => [(i * 7919) % tokens, (i * 104729 + i) % tokens] as const);
    const seen = await colours(pairs);
    const none = '240,238,232';
    const isDrawn = seen.map((colour) => colour !== `${none},255`);
    expect(isDrawn).toEqual(pairs.map(([q, k]) => allows(pattern, { head: 0, q, k })));
    expect(isDrawn.filter(Boolean).length).toBeGreaterThan(10);
  });

  it('goes from a million tokens to single cells by keyboard, and says what is there', async () => {
    await open('causal&(sinks:4+window:64)', 2 ** 20);
    await page.focus('[role=application]');
    await page.keyboard.press('Shift+ArrowDown');
    await page.keyboard.press('ArrowDown');
    for (let i = 0; i < 40; i++) await page.keyboard.press('+');
    await page.keyboard.press('ArrowRight');
    await drawn();
    expect((await view()).scale).toBe(48);
    const text = page.locator('.cross');
    await text.getByText('query 65, key 1: allowed').waitFor();
    expect(await text.innerText()).toContain('65 reads\n66: 0 to 65');
    expect(await text.innerText()).toContain('1,048,575');
  });

  it('keeps the last picture where the pattern is wrong, and says why', async () => {
    await open('window:3', 64);
    await page.fill('#pattern', 'windo:3');
    const alert = page.getByRole('alert');
    await alert.getByText('windo').waitFor();
    await drawn();
    expect(new URL(page.url()).hash).toBe('#pattern=window%3A3&n=64');
    await page.fill('#pattern', 'window:4');
    await page.waitForFunction(() => location.hash === '#pattern=window%3A4&n=64');
    expect(await page.textContent('#trouble')).toBe('');
  });

  it.each([
    [360, 'light'],
    [360, 'dark'],
    [820, 'light'],
    [1440, 'dark'],
  ] as const)('is accessible and fits at %i pixels, %s', async (width, colorScheme) => {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await open('causal&(sinks:4+window:256)', 2048);
    const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
    await page.evaluate(await readFile(axe, 'utf8'));
    const found = (await page.evaluate(
      'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + " " + nodes.map((node) => node.html).join()))',
    )) as string[];
    expect(found).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    const kinds = new Set(
      await colours([
        [500, 480],
        [500, 2],
        [2, 500],
        [1000, 700],
        [704, 680],
      ]),
    );
    expect(kinds.size).toBeGreaterThan(1);
    const shots = process.env.FARFIELD_SHOTS;
    if (shots !== undefined)
      await page.screenshot({ path: join(shots, `${width}-${colorScheme}.png`), fullPage: true });
  });

  it('has not complained', () => {
    expect(troubles).toEqual([]);
  });
});

import { expect, it } from 'vitest';
import { allows, type Pattern, parsePattern } from '../../src/pattern/index.ts';
import type { ExplorerPage } from './explorer-page.ts';

interface View {
  readonly left: number;
  readonly top: number;
  readonly scale: number;
}

export function matrixTests(explorer: () => ExplorerPage): void {
  const drawn = () =>
    explorer().page.waitForSelector('[aria-busy=false]:not([data-generation="0"]) canvas[data-missing="0"]');

  async function open(pattern: string, tokens: number): Promise<void> {
    await explorer().open({ patterns: [pattern], tokens });
    await drawn();
  }

  const view = async (): Promise<View> => JSON.parse((await explorer().page.getAttribute('canvas', 'data-view')) ?? '');

  /** Red, green, blue and opacity at the middle of each pair's cell. */
  async function colours(pairs: readonly (readonly [number, number])[]): Promise<string[]> {
    const { left, top, scale } = await view();
    const points = pairs.map(([q, k]) => [left + (k + 0.5) * scale, top + (q + 0.5) * scale]);
    return explorer().page.evaluate((points) => {
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
    const none = '239,237,230,255';
    const isDrawn = seen.map((colour) => colour !== none);
    expect(isDrawn).toEqual(pairs.map(([q, k]) => allows(pattern, { head: 0, q, k })));
    expect(isDrawn.filter(Boolean).length).toBeGreaterThan(10);
  });

  it('goes from a million tokens to single cells by keyboard, and says what is there', async () => {
    const { page } = explorer();
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
    const { page } = explorer();
    await open('window:3', 64);
    await page.fill('#pattern', 'windo:3');
    await page.getByRole('alert').getByText('windo').waitFor();
    await drawn();
    await explorer().hasAddress({ patterns: ['window:3'], tokens: 64 });
    await page.fill('#pattern', 'window:4');
    await explorer().hasAddress({ patterns: ['window:4'], tokens: 64 });
    expect(await page.getByRole('alert').count()).toBe(0);
  });
}

import { expect, it } from 'vitest';
import type { PageState } from '../../explorer/src/state/page-state.ts';
import { receptiveField } from '../../src/mask/index.ts';
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

  async function open(pattern: string, tokens: number, more: Partial<PageState> = {}): Promise<void> {
    await explorer().open({ patterns: [pattern], tokens, ...more });
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
    ['causal&(sinks:4+window:5)', 48, 0],
    ['window:3|strided(stride=12)', 96, 1],
    ['bigBird(block=16,window=3,global=1,random=1,seed=3)', 160, 0],
  ])('draws %s as it is defined', async (text, tokens, head) => {
    await open(text, tokens, { heads: 2, head });
    const pattern: Pattern = parsePattern(text);
    const pairs = Array.from({ length: 400 }, (_, i) => [(i * 7919) % tokens, (i * 104729 + i) % tokens] as const);
    const seen = await colours(pairs);
    const none = '239,237,230,255';
    const isDrawn = seen.map((colour) => colour !== none);
    expect(isDrawn).toEqual(pairs.map(([q, k]) => allows(pattern, { head, q, k })));
    expect(isDrawn.filter(Boolean).length).toBeGreaterThan(10);
  });

  it.each([
    ['dense', 0],
    ['causal', 0],
    ['causal&!window:40', 700_000],
    ['strided(stride=12)', 524_288],
  ])('draws %s over a million tokens as it is defined, whose blocks are too many to hold', async (text, at) => {
    const pattern = parsePattern(text);
    const n = 2 ** 20;
    await open(text, n);
    // The whole first: above the diagonal there is nothing but in dense attention, and below it something.
    const whole = await view();
    const none = '239,237,230,255';
    const coarse = [
      [n * 0.9, n * 0.1],
      [n * 0.1, n * 0.9],
    ] as const;
    expect((await colours(coarse)).map((colour) => colour !== none)).toEqual([true, text === 'dense']);
    await open(text, n, { own: { 'matrix.view': `${at},${at},16` } });
    const { left, top, scale } = await view();
    expect(scale).toBe(16);
    expect(whole.scale).toBeLessThan(0.01);
    const first = [Math.ceil((60 - top) / scale), Math.ceil((60 - left) / scale)];
    const pairs = Array.from(
      { length: 200 },
      (_, i) => [first[0] + ((i * 7) % 30), first[1] + ((i * 11 + i) % 30)] as const,
    );
    const seen = (await colours(pairs)).map((colour) => colour !== none);
    expect(seen).toEqual(pairs.map(([q, k]) => allows(pattern, { head: 0, q, k })));
    expect(pairs.some(([q]) => q >= at)).toBe(true);
  });

  it('tells full blocks from partial ones, or not, as it is asked', async () => {
    const { page } = explorer();
    await open('causal', 256);
    const pairs = [
      [200, 10],
      [200, 196],
    ] as const;
    expect(await colours(pairs)).toEqual(['40,104,166,255', '221,146,56,255']);
    await page.getByRole('button', { name: 'Blocks' }).press('Enter');
    await page.waitForFunction(() => location.hash.includes('matrix.blocks=0'));
    await drawn();
    expect(await colours(pairs)).toEqual(['40,104,166,255', '40,104,166,255']);
  });

  it('holds a cell that is clicked, with an arc for each pair of its row and column, and keeps it in the address', async () => {
    const { page } = explorer();
    await open('causal&(sinks:2+window:3)', 32);
    const { left, top, scale } = await view();
    const box = await page.locator('.stage canvas').boundingBox();
    await page.mouse.click((box?.x ?? 0) + left + 8.5 * scale, (box?.y ?? 0) + top + 10.5 * scale);
    await page.waitForFunction(() => location.hash.includes('matrix.lock=10%2C8'));
    await page.locator('.cross').getByText('held').waitFor();
    // Query 10 reads 0, 1 and 7 to 10; key 8 is read by 8 to 11.
    await page.getByRole('img', { name: 'query 10 reads 6 keys, key 8 is read by 4 queries' }).waitFor();
    expect(await page.locator('path.reads').count()).toBe(6);
    expect(await page.locator('path.readers').count()).toBe(4);
    await page.mouse.move((box?.x ?? 0) + left + 20.5 * scale, (box?.y ?? 0) + top + 20.5 * scale);
    await page.reload();
    await page.locator('.cross').getByText('query 10, key 8').waitFor();
    await page.focus('[role=application]');
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => !location.hash.includes('matrix.lock'));
  });

  it("steps through the layers as a token's field grows", async () => {
    const { page } = explorer();
    const [local, wide] = ['window:7,0', 'causal&window:7/8'];
    await explorer().open({ patterns: [local, wide], tokens: 512, own: { 'matrix.token': '400' } });
    await drawn();
    const forward = page.getByRole('button', { name: 'Step forward' });
    for (const layers of [1, 2, 3]) {
      await forward.press('Enter');
      const { count } = receptiveField([local, wide].map(parsePattern), { length: 512, layers, query: 400 });
      await page.getByText(`After ${layers} of 12 layers token 400 depends on ${count} of 512 tokens`).waitFor();
    }
    await page.getByRole('button', { name: 'Step back' }).press('Enter');
    await page.getByText('After 2 of 12 layers').waitFor();
  });

  it('draws no more than the tiles in sight, however long the text', async () => {
    const { page } = explorer();
    await open('causal&(sinks:4+window:256)', 2 ** 20);
    const box = await page.locator('.stage canvas').boundingBox();
    const [x, y] = [(box?.x ?? 0) + 300, (box?.y ?? 0) + 300];
    await page.focus('[role=application]');
    for (let i = 0; i < 5; i++) await page.keyboard.press('+');
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x - 200, y - 150, { steps: 4 });
    await page.mouse.up();
    await drawn();
    const tiles = Number(await page.getAttribute('canvas', 'data-drawn'));
    // A tile is 256 pixels or more wide.
    const most = (Math.ceil((box?.width ?? 0) / 256) + 1) * (Math.ceil((box?.height ?? 0) / 256) + 1);
    expect(tiles).toBeGreaterThan(1);
    expect(tiles).toBeLessThanOrEqual(most);
  });

  it('goes from a million tokens to single cells by keyboard, and says what is there', async () => {
    const { page } = explorer();
    await open('causal&(sinks:4+window:64)', 2 ** 20);
    await page.focus('[role=application]');
    await page.keyboard.press('Shift+ArrowDown');
    await page.keyboard.press('ArrowDown');
    for (let i = 0; i < 24; i++) await page.keyboard.press('+');
    await page.keyboard.press('ArrowRight');
    await drawn();
    expect((await view()).scale).toBe(56);
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

import { expect, it } from 'vitest';
import { bytes, flops, many, percent } from '../../explorer/src/chart/number-format.ts';
import { attentionCost, compileMask, statistics } from '../../src/mask/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';
import type { ExplorerPage } from './explorer-page.ts';
import { fitsTests } from './fits.ts';

export function costTests(explorer: () => ExplorerPage): void {
  const counted = () => explorer().page.waitForSelector('[data-section=cost][aria-busy=false] [data-row=Pairs]');

  it('shows the figures of statistics() and attentionCost() of the same mask', async () => {
    const { page } = explorer();
    const text = 'bigBird(block=16,window=3,global=1,random=1,seed=3)';
    await explorer().open({ patterns: [text], tokens: 800, heads: 2, section: 'cost', own: { 'cost.width': '32' } });
    await counted();
    const mask = compileMask(parsePattern(text), { queries: 800, keys: 800, heads: 2 });
    const { pattern, dense } = attentionCost(mask, { queryWidth: 32 });
    const cells = async (row: string) => page.locator(`[data-row="${row}"] td`).allInnerTexts();
    expect((await cells('Pairs')).slice(0, 2)).toEqual([many(pattern.pairs), many(dense.pairs)]);
    expect((await cells('Arithmetic')).slice(0, 2)).toEqual([flops(pattern.forward.flops), flops(dense.forward.flops)]);
    expect((await cells('Bytes moved')).slice(0, 2)).toEqual([
      bytes(pattern.forward.bytes),
      bytes(dense.forward.bytes),
    ]);
    const { blocks, density } = statistics(mask);
    expect(await page.innerText('[data-fact=density]')).toBe(percent(density));
    expect(await page.innerText('[data-fact=blocks]')).toContain(`${blocks.full} full, ${blocks.partial} partial`);
  });

  it('draws curves whose points the keyboard goes through and a table has too', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['causal&window:16'], tokens: 1024, section: 'cost' });
    await counted();
    const chart = page.getByRole('slider', { name: /Memory over the number of tokens/ });
    await chart.focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    const said = (await chart.getAttribute('aria-valuetext')) ?? '';
    const { pairs } = attentionCost(parsePattern('causal'), { queries: 128 }).pattern;
    const stored = bytes(4 * 128 * 64 * 4 + 4 * pairs);
    expect(said).toMatch(/^128 tokens: /);
    expect(said).toContain(`Dense, causal, scores stored ${stored}`);
    await page.getByText('These numbers as a table').first().click();
    const row = page.getByRole('row', { name: /^128 tokens/ });
    expect(await row.innerText()).toContain(stored);
  });

  it('measures the kernels in the page, on several threads, with the error of leaving pairs out', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['causal&(sinks:2+window:64)'], tokens: 512, section: 'cost' });
    await page.getByText('1,024', { exact: true }).click();
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.waitForSelector('[data-measured=ended]', { timeout: 60_000 });
    const threads = await page.evaluate(() => navigator.hardwareConcurrency);
    const measured = await page.innerText('[data-measured]');
    expect(measured).toContain(threads === 1 ? 'One thread' : `${threads} threads`);
    expect(await page.innerText('[data-result=speed]')).toMatch(/1,024 tokens the pattern takes [\d.]+ ms/);
    const error = Number.parseFloat((await page.innerText('[data-result=check] b')) ?? '');
    expect(error).toBeGreaterThan(0);
    expect(Number(await page.innerText('[data-result=check] b'))).toBeLessThan(1e-4);
    const leftOut = Number.parseFloat(await page.innerText('[data-result=mass]'));
    expect(leftOut).toBeGreaterThan(0);
    expect(leftOut).toBeLessThan(100);
    await page.getByText('These numbers as a table').nth(1).click();
    const rows = await page
      .getByRole('region', { name: /Time of one run/ })
      .locator('tbody tr')
      .allInnerTexts();
    expect(rows.map((row) => row.split('\t')[0])).toEqual(['256 tokens', '512 tokens', '1,024 tokens']);
    for (const row of rows) expect(row).toMatch(/tokens(\s+[\d.]+ ms){3}/);
  });

  it('stops a measurement that is cancelled, and keeps what was measured', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['dense'], tokens: 4096, section: 'cost' });
    await page.getByText('16,384', { exact: true }).click();
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.waitForSelector('[data-measured=running] tbody tr', { state: 'attached' });
    await page.locator('[data-measured]').getByRole('button', { name: 'Cancel' }).click();
    await page.waitForSelector('[data-measured=ended]', { timeout: 2000 });
    expect(await page.locator('[data-measured] tbody tr').count()).toBeGreaterThan(0);
  });

  it('counts dense attention over a million tokens to the pair, and draws its curve', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['dense'], tokens: 2 ** 20, section: 'cost' });
    await counted();
    expect(await page.locator('[data-row=Pairs] td').first().innerText()).toBe(many(2 ** 40));
    expect(await page.innerText('[data-fact=blocks]')).toContain('268 million full, 0 partial');
  });

  it('says why there is one thread where the page is not isolated, and measures all the same', async () => {
    const { page } = explorer();
    await using plain = await explorer().serveWithoutIsolation();
    await page.goto(`${plain.url}#pattern=causal%26window%3A16&n=512&section=cost`);
    await page.getByText('1,024', { exact: true }).click();
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.waitForSelector('[data-measured=ended]', { timeout: 60_000 });
    expect(await page.evaluate(() => globalThis.crossOriginIsolated)).toBe(false);
    const said = await page.innerText('[data-measured]');
    expect(said).toContain('One thread: this page is not cross-origin isolated');
    expect(said).toContain('Cross-Origin-Opener-Policy: same-origin');
    expect(await page.innerText('[data-result=speed]')).toMatch(/1,024 tokens the pattern takes [\d.]+ ms/);
  });

  fitsTests(explorer, 'cost', '[data-section=cost][aria-busy=false] [data-row=Pairs]');
}

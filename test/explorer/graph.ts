import { expect, it } from 'vitest';
import { significant, whole } from '../../explorer/src/chart/number-format.ts';
import { withRandomEdges } from '../../explorer/src/graph/random-edges.ts';
import { compileMask, graphMeasures } from '../../src/mask/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';
import type { ExplorerPage } from './explorer-page.ts';
import { fitsTests } from './fits.ts';

export function graphTests(explorer: () => ExplorerPage): void {
  const measured = () => explorer().page.waitForSelector('[data-measures=done]');
  const value = (measure: string) => explorer().page.innerText(`[data-measure="${measure}"] td b`);

  it.each([0, 2])('shows the measures of src/mask/analysis, with %i random edges a token', async (random) => {
    const { page } = explorer();
    const own: Record<string, string> = random === 0 ? {} : { 'graph.random': String(random) };
    await explorer().open({ patterns: ['window:3'], tokens: 200, section: 'graph', own });
    await measured();
    const pattern = withRandomEdges(parsePattern('window:3'), random, { tokens: 200, heads: 1 });
    const measures = graphMeasures(compileMask(pattern, { queries: 200, keys: 200, heads: 1 }));
    expect(await value('Average shortest path')).toBe(
      `${significant(measures.averageShortestPath?.value ?? 0, 4)} hops`,
    );
    expect(await value('Clustering')).toBe(significant(measures.averageClustering.value));
    expect(await value('Spectral gap')).toBe(significant(measures.spectralGap.value));
    expect(await value('Diameter')).toBe(`${whole(measures.diameter ?? 0)} hops`);
    expect(await page.innerText('[data-measure="Spectral gap"]')).toContain('exact');
  });

  it('draws all pairs of a short text, in the colour of the pattern', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['sinks:1+window:1'], tokens: 32, section: 'graph' });
    await page.waitForSelector('[data-section=graph][aria-busy=false] [data-fact=drawn]');
    // Every query but the second reads its neighbours and token 0, but not itself: 31 + 31 of the window, 30 of the sink.
    expect(await page.innerText('[data-fact=drawn]')).toContain('all 92 pairs');
    const painted = await page.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>('[data-section=graph] canvas');
      const pixels = canvas?.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      let count = 0;
      for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] > 0 && pixels[i + 2] > pixels[i] + 40) count++;
      return count;
    });
    expect(painted).toBeGreaterThan(500);
  });

  it('says that a long text is measured by a sample, when asked', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['window:64'], tokens: 4096, section: 'graph' });
    await page.getByRole('button', { name: 'Measure' }).click();
    await measured();
    expect(await page.innerText('[data-measure="Average shortest path"]')).toMatch(/±/);
    expect(await value('Diameter')).toBe('–');
    expect(await page.innerText('[data-fact=drawn]')).toContain('of 4,096 tokens');
  });

  it('shows how random edges shorten paths, and can be cancelled', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['window:2'], tokens: 96, section: 'graph' });
    await page.getByRole('button', { name: 'Compute the curves' }).click();
    await page.waitForSelector('[data-curve=done]', { timeout: 60_000 });
    const text = await page.innerText('[data-result=random]');
    const [, before, after] = /from ([\d.]+) to ([\d.]+) hops/.exec(text) ?? [];
    const plain = graphMeasures(compileMask(parsePattern('window:2'), { queries: 96, keys: 96, heads: 1 }));
    expect(before).toBe(significant(plain.averageShortestPath?.value ?? 0));
    expect(Number(after)).toBeLessThan(Number(before) / 4);
    await explorer().open({ patterns: ['dense'], tokens: 2048, section: 'graph' });
    await page.getByRole('button', { name: 'Compute the curves' }).click();
    await page.locator('[data-curve=running]').getByRole('button', { name: 'Cancel' }).click();
    await page.waitForSelector('[data-curve=none]', { timeout: 2000 });
  });

  fitsTests(explorer, 'graph', '[data-measures=done]');
}

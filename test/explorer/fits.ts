import { expect, it } from 'vitest';
import type { ExplorerPage } from './explorer-page.ts';

/** A section with its figures, accessible and no wider than a narrow and a wide screen, in either theme. */
export function fitsTests(explorer: () => ExplorerPage, section: string, ready: string): void {
  it.each([
    [360, 'light'],
    [1440, 'dark'],
  ] as const)('is accessible with its figures and fits at %i pixels, %s', async (width, colorScheme) => {
    const { page } = explorer();
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await explorer().open({ section, tokens: 512 });
    await page.waitForSelector(ready);
    expect(await explorer().axe()).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await explorer().shoot(`${section}-figures-${width}-${colorScheme}`);
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: 'light' });
  });
}

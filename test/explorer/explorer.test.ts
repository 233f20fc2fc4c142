import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium } from '../browser/browser.ts';
import { ExplorerPage } from './explorer-page.ts';
import { learnTests } from './learn.ts';
import { matrixTests } from './matrix.ts';

// One file, so that all sections share one built page and one browser. A section's tests are a file beside this one.
describe.skipIf(!hasChromium)('the explorer in Chromium', () => {
  let explorer: ExplorerPage;

  beforeAll(async () => {
    explorer = await ExplorerPage.start();
  }, 120_000);

  afterAll(async () => {
    await explorer?.[Symbol.asyncDispose]();
  });

  describe('matrix', () => matrixTests(() => explorer));
  describe('learn', () => learnTests(() => explorer));

  it.each([
    [360, 'light'],
    [360, 'dark'],
    [900, 'light'],
    [900, 'dark'],
    [1440, 'light'],
    [1440, 'dark'],
  ] as const)('is accessible and fits at %i pixels, %s', async (width, colorScheme) => {
    const { page } = explorer;
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await explorer.open({});
    await page.waitForSelector('canvas[data-missing="0"]');
    expect(await explorer.axe()).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await explorer.shoot(`matrix-${width}-${colorScheme}`);
  });

  it('has not complained', () => {
    expect(explorer.troubles).toEqual([]);
  });
});

import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SECTIONS } from '../../explorer/src/sections.ts';
import { FIRST_STATE, stateToHash } from '../../explorer/src/state/page-state.ts';
import { median } from '../../src/cli/bench/timing.ts';
import { executable, hasChromium, launchArguments } from '../browser/browser.ts';
import { composeTests } from './compose.ts';
import { contentTests } from './content.ts';
import { costTests } from './cost.ts';
import { ExplorerPage } from './explorer-page.ts';
import { graphTests } from './graph.ts';
import { learnTests } from './learn.ts';
import { matrixTests } from './matrix.ts';
import { NO_FRAME_LIMIT, pan } from './pan.ts';

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
  describe('pattern panel and gallery', () => composeTests(() => explorer));
  describe('cost', () => costTests(() => explorer));
  describe('graph', () => graphTests(() => explorer));
  describe('content', () => contentTests(() => explorer));
  describe('learn', () => learnTests(() => explorer));

  it.each(SECTIONS)('$title is accessible and fits every width', async ({ id }) => {
    const { page } = explorer;
    await explorer.open({ section: id });
    await page.waitForSelector('#section > *');
    for (const width of [360, 900, 1440]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        await page.waitForLoadState('networkidle');
        if (id === 'matrix') await page.waitForSelector('canvas[data-missing="0"]');
        await explorer.shoot(`${id}-${width}-${colorScheme}`);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
        // Each theme and each width at least once.
        if ((width === 900) === (colorScheme === 'light')) expect(await explorer.axe()).toEqual([]);
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: 'light' });
  });

  it.each(['causal&(sinks:4+window:256)', 'dense'])(
    'pans %s over a million tokens in frames of under 16 ms',
    { retry: 2 },
    async (pattern) => {
      const browser = await chromium.launch({
        executablePath: executable,
        args: [...launchArguments, ...NO_FRAME_LIMIT],
      });
      try {
        const { milliseconds, tiles } = await pan(
          browser,
          `${explorer.url}${stateToHash({ ...FIRST_STATE, patterns: [pattern], tokens: 2 ** 20 })}`,
        );
        expect(tiles).toBeGreaterThan(4);
        expect(median(milliseconds)).toBeLessThan(16);
      } finally {
        await browser.close();
      }
    },
  );

  it('has not complained', () => {
    expect(explorer.troubles).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { hasChromium, TestPage } from './browser.ts';
import { run, type ScoresInput, type ScoresOutput } from './programs/scores.ts';

describe.skipIf(!hasChromium)('score modifiers in Chromium', () => {
  it.each([{ isolated: true }, { isolated: false }])(
    'give the bits that Node gives, with gradients and weights (cross-origin isolated: $isolated)',
    async ({ isolated }) => {
      const input = { threads: 2, rows: 300 };
      await using page = await TestPage.open({ isolated });
      const inBrowser = await page.run<ScoresInput, ScoresOutput>('scores', input);
      const inNode = await run(input);
      for (const [name, numbers] of Object.entries(inNode)) {
        expect(numbers.length, name).toBeGreaterThan(0);
        expect(numbers.every(Number.isFinite), name).toBe(true);
        expect(inBrowser[name], name).toEqual(numbers);
      }
      expect(page.troubles).toEqual([]);
    },
  );
});

import { describe, expect, it } from 'vitest';
import { causal, intersect, sinks, union, window } from '../../src/pattern/index.ts';
import { hasChromium, TestPage } from './browser.ts';
import { type PatternInput, run } from './programs/pattern.ts';

describe.skipIf(!hasChromium)('patterns in Chromium', () => {
  const input: PatternInput = {
    pattern: intersect(union(window(3), sinks(2)), causal()),
    queries: 12,
    keys: 12,
  };

  it.each([{ isolated: true }, { isolated: false }])(
    'mean what they mean in Node (cross-origin isolated: $isolated)',
    async ({ isolated }) => {
      await using page = await TestPage.open({ isolated });
      const rows = await page.run<PatternInput, string[]>('pattern', input);
      expect(rows).toEqual(run(input));
      expect(rows[11]).toBe('##......####');
      expect(await page.isIsolated()).toBe(isolated);
      expect(page.troubles).toEqual([]);
    },
  );
});

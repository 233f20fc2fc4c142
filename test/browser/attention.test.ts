import { describe, expect, it } from 'vitest';
import { hasChromium, TestPage } from './browser.ts';
import { type AttentionInput, type AttentionOutput, run } from './programs/attention.ts';

describe.skipIf(!hasChromium)('attention in Chromium', () => {
  it.each([
    { isolated: true, threads: 2 },
    { isolated: false, threads: 1 },
  ])(
    'gives the bits that Node gives (cross-origin isolated: $isolated, threads: $threads)',
    async ({ isolated, threads }) => {
      const input = { threads: 2, rows: 300 };
      await using page = await TestPage.open({ isolated });
      const inBrowser = await page.run<AttentionInput, AttentionOutput>('attention', input);
      const inNode = await run(input);
      expect(inBrowser.build).toBe('relaxed');
      expect(inBrowser.threads).toBe(threads);
      expect(inBrowser.output).toEqual(inNode.output);
      expect(inBrowser.lse).toEqual(inNode.lse);
      expect(page.troubles).toEqual([]);
    },
  );
});

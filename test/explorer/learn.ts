import { expect, it } from 'vitest';
import { stateOfStep, TOUR } from '../../explorer/src/learn/tour.ts';
import { FIRST_STATE, stateFromHash } from '../../explorer/src/state/page-state.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import { compileMask, statistics } from '../../src/mask/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';
import type { ExplorerPage } from './explorer-page.ts';

export function learnTests(explorer: () => ExplorerPage): void {
  it('opens the state that each step of the tour names, and computes what it says', async () => {
    const { page } = explorer();
    await explorer().open({ section: 'learn' });
    await page.getByRole('link', { name: TOUR[0].title }).click();
    for (const [i, step] of TOUR.entries()) {
      await page.getByRole('heading', { level: 2, name: step.title }).waitFor();
      expect(stateFromHash(new URL(page.url()).hash)).toEqual(stateOfStep(i));
      const tour = page.getByRole('region', { name: 'Tour' });
      await page.waitForSelector('section[aria-label=Tour][aria-busy=false]');
      if (step.facts.length > 0)
        await tour
          .locator('dd')
          .nth(step.facts.length - 1)
          .waitFor();
      expect(await tour.locator('dd').count()).toBe(step.facts.length);
      const { patterns, tokens } = stateOfStep(i);
      if (step.facts.includes('pairs')) {
        const { pairs } = statistics(
          compileMask(parsePattern(patterns[0]), { queries: tokens, keys: tokens, heads: 1 }),
        );
        expect(await tour.locator('dd').first().textContent()).toBe(pairs.toLocaleString('en-US'));
      }
      if (i + 1 < TOUR.length) await page.getByRole('link', { name: `Next: ${TOUR[i + 1].title}` }).click();
    }
    await page.getByRole('button', { name: 'End the tour' }).click();
    await page.waitForFunction(() => !location.hash.includes('learn.step'));
  });

  it('says what changes when the state of a step is changed, and leads back', async () => {
    const { page } = explorer();
    await explorer().open(stateOfStep(5));
    const connected = page.locator('section[aria-label=Tour] dd').nth(2);
    await connected.getByText(/^2$/).waitFor();
    await page.fill('#pattern', 'window:32');
    await connected.getByText(/^32$/).waitFor();
    await page.getByRole('link', { name: 'Show this step again' }).click();
    await connected.getByText(/^2$/).waitFor();
    await explorer().hasAddress(stateOfStep(5));
  });

  it('leads back at once, before the change is in the address', async () => {
    const { page } = explorer();
    await explorer().open(stateOfStep(5));
    const connected = page.locator('section[aria-label=Tour] dd').nth(2);
    await connected.getByText(/^2$/).waitFor();
    await page.evaluate(() => {
      new MutationObserver((_, observer) => {
        const link = [...document.querySelectorAll('a')].find((a) => a.textContent === 'Show this step again');
        if (link === undefined) return;
        observer.disconnect();
        link.click();
      }).observe(document.body, { childList: true, subtree: true });
    });
    await page.fill('#pattern', 'window:32');
    await explorer().hasAddress(stateOfStep(5));
    await page.waitForFunction(
      (pattern) => document.querySelector<HTMLInputElement>('#pattern')?.value === pattern,
      stateOfStep(5).patterns[0],
    );
    await connected.getByText(/^2$/).waitFor();
  });

  it('gives the advice of farfield advise', async () => {
    const { page } = explorer();
    const own = {
      'learn.view': 'advisor',
      'learn.task': 'generation',
      'learn.length': '20000',
      'learn.memory': '500',
      'learn.unit': 'MB',
      'learn.heads': '2',
      'learn.width': '16',
      'learn.layers': '2',
    };
    await explorer().open({ section: 'learn', own });
    const command = await page.locator('code.command').textContent();
    expect(command).toBe(
      'farfield advise --task generation --length 20000 --memory 500MB --heads 2 --dim 16 --layers 2',
    );
    let stdout = '';
    const stream = { columns: 80, write: (text: string) => (stdout += text) };
    const code = await runCommandLine([...(command ?? '').split(' ').slice(1), '--threads', '1', '--json'], {
      stdout: stream,
      stderr: { columns: 80, write: () => '' },
    });
    expect(code).toBe(0);
    const { recommended, dense } = JSON.parse(stdout);
    const best = page.getByRole('article', { name: 'Recommended' });
    await best.waitFor();
    const names = await page.locator('article h3, article h4').allTextContents();
    expect(names).toEqual(recommended.map(({ name }: { name: string }) => name));
    const row = (name: string) => best.getByRole('row', { name }).locator('td').allTextContents();
    const count = (pairs: number) => Math.round(pairs).toLocaleString('en-US');
    expect((await row('Pairs in a layer')).slice(0, 2)).toEqual([count(recommended[0].pairs), count(dense.pairs)]);
    await best.getByRole('link', { name: 'Open this pattern' }).click();
    await explorer().hasAddress({
      ...FIRST_STATE,
      patterns: ['causal&(sinks:4+window:2047,0)'],
      tokens: 20000,
      layers: 2,
    });
  });

  it('keeps the last advice where a question cannot be answered, and measures in the page', async () => {
    const { page } = explorer();
    const own = { 'learn.view': 'advisor', 'learn.length': '3000', 'learn.heads': '2', 'learn.layers': '1' };
    await explorer().open({ section: 'learn', own });
    await page.getByRole('article', { name: 'Recommended' }).waitFor();
    await page.selectOption('#unit', 'MB');
    await page
      .getByRole('alert')
      .getByText(/nothing fits in 4 MB: .* tokens need at least/)
      .waitFor();
    expect(await page.getByRole('article', { name: 'Recommended' }).count()).toBe(1);
    await page.selectOption('#unit', 'GB');
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Measure in this browser' }).click();
    await page.getByRole('row', { name: 'A layer, measured here' }).waitFor({ timeout: 30_000 });
    const times = await page.getByRole('row', { name: 'A layer, measured here' }).locator('td').allTextContents();
    expect(Number.parseFloat(times[0])).toBeGreaterThan(0);
    expect(Number.parseFloat(times[1])).toBeGreaterThan(0);
  });

  it.each([
    ['tour', 'light', 360],
    ['families', 'dark', 900],
    ['advisor', 'light', 1440],
  ] as const)('%s is accessible, %s, and fits', async (view, colorScheme, width) => {
    const { page } = explorer();
    const own = { 'learn.view': view, ...(view === 'tour' ? { 'learn.step': '6' } : {}) };
    await page.emulateMedia({ colorScheme });
    for (const [wide, isChecked] of [
      [width, true],
      [360, false],
    ] as const) {
      await page.setViewportSize({ width: wide, height: 900 });
      await explorer().open({ section: 'learn', own });
      if (view === 'advisor') await page.getByRole('article', { name: 'Recommended' }).waitFor();
      if (view === 'tour') await page.waitForSelector('section[aria-label=Tour] dd');
      if (isChecked) expect(await explorer().axe()).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(wide);
      await explorer().shoot(`learn-${view}-${wide}-${colorScheme}`);
    }
  });
}

import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { drawSvg } from '../../src/mask/draw-svg.ts';
import { compileMask } from '../../src/mask/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';
import type { ExplorerPage } from './explorer-page.ts';

export function composeTests(explorer: () => ExplorerPage): void {
  it('moves a parameter by its slider from the keyboard, and undoes and redoes it', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['sinks:4+window:8,0'], tokens: 64 });
    await page.getByRole('slider', { name: 'left' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await explorer().hasAddress({ patterns: ['sinks:4+window:10,0'], tokens: 64 });
    await page.getByRole('button', { name: 'Undo' }).click();
    await explorer().hasAddress({ patterns: ['sinks:4+window:8,0'], tokens: 64 });
    await page.getByRole('button', { name: 'Redo' }).press('Enter');
    await explorer().hasAddress({ patterns: ['sinks:4+window:10,0'], tokens: 64 });
  });

  it('adds, negates, moves and takes out parts by buttons', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['window:8'], tokens: 64 });
    await page.getByLabel('Add a part').selectOption({ label: 'Sinks: count 4' });
    await page.getByRole('button', { name: '+ Unite' }).press('Enter');
    await explorer().hasAddress({ patterns: ['window:8+sinks:4'], tokens: 64 });
    await page.getByRole('button', { name: 'Change Sinks' }).press('Enter');
    await page.getByRole('button', { name: 'Up', exact: true }).press('Enter');
    await explorer().hasAddress({ patterns: ['sinks:4+window:8'], tokens: 64 });
    await page.getByLabel('How the parts are put together').selectOption('intersect');
    await explorer().hasAddress({ patterns: ['sinks:4&window:8'], tokens: 64 });
    await page.getByRole('button', { name: 'Change Window' }).press('Enter');
    await page.getByRole('group', { name: 'Window: actions' }).getByRole('button', { name: 'Negate' }).press('Enter');
    await explorer().hasAddress({ patterns: ['sinks:4&!window:8'], tokens: 64 });
  });

  it('takes a card of the gallery by keyboard, and puts another beside it by dragging', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['window:8'], tokens: 96 });
    await page.getByRole('tab', { name: 'Matrix' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.getByLabel('Find').fill('gemma 3');
    await page.getByRole('button', { name: /^Gemma 3/ }).press('Enter');
    const local = 'window:1023,0';
    const gemma = { patterns: [local, local, local, local, local, 'causal'], tokens: 8192 };
    await explorer().hasAddress(gemma);
    await page.getByRole('button', { name: 'Layer 5, pattern B' }).press('Enter');
    await explorer().hasAddress({ ...gemma, layer: 5 });
    expect(await page.inputValue('#pattern')).toBe('causal');

    await explorer().open({ patterns: ['window:8'], tokens: 96, section: 'gallery' });
    await page.getByLabel('Find').fill('Attention sinks');
    await page.dragAndDrop('button:has(.title:text("Attention sinks"))', 'button:text("+ Unite")');
    await page.waitForFunction(() => location.hash.includes('window%3A8%2Bsinks'));
  });

  it('puts a part on another by dragging and by the keyboard: beside a single one as either, into a group as it is', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['causal&window:8&sinks:4'], tokens: 96 });
    const head = (title: string) => page.locator('.head[draggable=true]').filter({ hasText: title });
    await head('Sinks').dragTo(head('Window'));
    await explorer().hasAddress({ patterns: ['causal&(window:8+sinks:4)'], tokens: 96 });
    await page.getByRole('button', { name: 'Undo' }).click();
    await explorer().hasAddress({ patterns: ['causal&window:8&sinks:4'], tokens: 96 });
    await page.getByRole('button', { name: 'Change Sinks' }).press('Enter');
    const actions = page.getByRole('group', { name: 'Sinks: actions' });
    await actions.getByRole('button', { name: 'Join with the one above' }).press('Enter');
    await explorer().hasAddress({ patterns: ['causal&(window:8+sinks:4)'], tokens: 96 });
    // Onto what is a group already, and not onto itself.
    await head('Causal').dragTo(head('Causal'));
    await explorer().hasAddress({ patterns: ['causal&(window:8+sinks:4)'], tokens: 96 });
    await page.fill('#pattern', 'window:8+sinks:4&causal&window:9');
    await explorer().hasAddress({ patterns: ['window:8+sinks:4&causal&window:9'], tokens: 96 });
    await head('Window').first().dragTo(page.getByLabel('How the parts are put together').nth(1));
    await explorer().hasAddress({ patterns: ['sinks:4&causal&window:9&window:8'], tokens: 96 });
  });

  it('keeps the theme that was chosen, and follows the system where none was', async () => {
    const { page } = explorer();
    const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: 'light' });
    await explorer().open({});
    const light = await ground();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await ground();
    expect(dark).not.toBe(light);
    const button = page.getByRole('button', { name: /^Theme/ });
    await button.press('Enter');
    await page.getByRole('button', { name: 'Theme: light' }).waitFor();
    await expect.poll(ground).toBe(light);
    // Set before the page's own code has come, so that nothing flashes.
    await page.route('**/assets/*.js', (route) => route.abort());
    await page.goto('about:blank');
    await page.goto(explorer().url);
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('light');
    await page.unroute('**/assets/*.js');
    explorer().troubles.length = 0;
    await explorer().open({});
    expect(await ground()).toBe(light);
    await button.press('Enter');
    await button.press('Enter');
    await page.getByRole('button', { name: 'Theme: system' }).waitFor();
    await explorer().open({});
    expect(await ground()).toBe(dark);
    expect(await page.evaluate(() => localStorage.length)).toBe(0);
    await page.emulateMedia({ colorScheme: 'light' });
  });

  it('gives code, JSON, a command and pictures', async () => {
    const { page } = explorer();
    const text = 'causal&window:8';
    await explorer().open({ patterns: [text], tokens: 64 });
    await page.getByText('Take it with you').click();
    const shown = page.getByRole('region', { name: 'Text to copy' });
    expect(await shown.innerText()).toContain('const pattern = intersect(causal(), window(8));');
    await page.getByText('JSON', { exact: true }).click();
    expect(JSON.parse(await shown.innerText())).toEqual(parsePattern(text));
    await page.getByText('Command', { exact: true }).click();
    expect(await shown.innerText()).toBe(`npx farfield mask --pattern "${text}" --length 64 --svg mask.svg`);
    const file = async (name: string): Promise<Buffer> => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name, exact: true }).click(),
      ]);
      return readFile(await download.path());
    };
    const mask = compileMask(parsePattern(text), { queries: 64, keys: 64, heads: 1 });
    expect((await file('SVG')).toString()).toBe(drawSvg(mask, { head: 0, size: 1024 }));
    expect([...(await file('PNG')).subarray(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);
  });

  it('tells what is wrong with an address, and keeps the last good state', async () => {
    const { page } = explorer();
    const good = { patterns: ['window:5'], tokens: 64 };
    await explorer().open(good);
    for (const broken of [
      '#pattern=windo:3',
      '#pattern=window:5&n=7',
      '#heads=9999',
      '#pattern=window:5&n=64&head=1',
    ]) {
      await page.evaluate((hash) => {
        location.hash = hash;
      }, broken);
      await page.getByRole('alert').getByText('The address of the page was not understood').waitFor();
      expect(await page.inputValue('#pattern')).toBe('window:5');
      await page.evaluate(() => {
        location.hash = '#pattern=window%3A5&n=64';
      });
      await page.getByRole('alert').waitFor({ state: 'detached' });
    }
    await page.goto('about:blank');
    await page.goto(`${explorer().url}#pattern=%7B%22kind%22`);
    await page.getByRole('alert').getByText('The address of the page was not understood').waitFor();
    await page.waitForSelector('canvas[data-missing="0"]');
  });

  it('refuses a number of tokens that it does not draw, and keeps the picture', async () => {
    const { page } = explorer();
    await explorer().open({ patterns: ['dense'], tokens: 64 });
    await page.waitForSelector('canvas[data-missing="0"]');
    const field = page.getByRole('textbox', { name: 'Tokens', exact: true });
    for (const text of ['1048577', '15', '2e3.5', '']) {
      await field.fill(text);
      await page.getByText('a whole number from 16 to 1,048,576').waitFor();
      await explorer().hasAddress({ patterns: ['dense'], tokens: 64 });
    }
    await field.blur();
    expect(await field.inputValue()).toBe('64');
  });

  it('says so where a graph would need more blocks than memory holds', async () => {
    const { page } = explorer();
    await explorer().open({ section: 'graph', patterns: ['dense'], tokens: 2 ** 20 });
    await page.getByRole('alert').getByText('268 million').first().waitFor();
  });
}

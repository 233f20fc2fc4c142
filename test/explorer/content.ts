import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { charactersOf, tokensOf } from '../../explorer/src/content/text/characters.ts';
import { readModelFiles } from '../../explorer/src/content/text/model-files.ts';
import { MOST_BYTES } from '../../explorer/src/content/text/read-text.ts';
import { TextModel } from '../../explorer/src/content/text/text-model.ts';
import { createDevice } from '../../src/attention/index.ts';
import { createGpt } from '../../src/model/gpt.ts';
import { gptCheckpoint } from '../../src/model/gpt-checkpoint.ts';
import { allows, causal, parsePattern } from '../../src/pattern/index.ts';
import type { ExplorerPage } from './explorer-page.ts';

const bundled = fileURLToPath(new URL('../../models/farfield-small/', import.meta.url));
const hasBundled = existsSync(`${bundled}model.safetensors`);

interface Files {
  readonly config: Buffer;
  readonly weights: Buffer;
}

/** The bundled model's files; before there is one, those of a model with random weights, which the page opens as it would any. */
async function modelFiles(): Promise<Files> {
  if (hasBundled) {
    return { config: await readFile(`${bundled}config.json`), weights: await readFile(`${bundled}model.safetensors`) };
  }
  const config = {
    vocabularySize: 259,
    hiddenSize: 64,
    layers: 2,
    heads: 4,
    context: 2048,
    patterns: [parsePattern('window:16|sinks:2+window:8')],
    activation: 'swiglu',
    normalization: 'rms',
  } as const;
  await using device = await createDevice({ threads: 1 });
  await using gpt = await createGpt(config, { seed: 3, device });
  const files = gptCheckpoint(config, gpt.parameters, { storage: 'f16' });
  const bytes = (name: string) => Buffer.concat([...(files.get(name) ?? [])]);
  return { config: bytes('config.json'), weights: bytes('model.safetensors') };
}

export function contentTests(explorer: () => ExplorerPage): void {
  const grid = { rows: 12, columns: 16 };
  const tokens = grid.rows * grid.columns;

  /** Opens a pattern on an image that is white all over, so that what covers a patch is seen. */
  async function openWhite(pattern: string, patch: number): Promise<void> {
    const own = { 'content.view': 'image', 'content.patch': String(patch), 'content.grid': '12x16' };
    await explorer().page.emulateMedia({ colorScheme: 'dark' });
    await explorer().open({ section: 'content', patterns: [pattern], tokens, own });
    await explorer().page.waitForSelector('[role=application] canvas');
    const white = await drawnWhite();
    await explorer().page.setInputFiles('input[type=file]', {
      name: 'white.png',
      mimeType: 'image/png',
      buffer: white,
    });
    await explorer().page.getByText('Shown: white.png').waitFor();
  }

  /** Which patches are not covered, by the pixel beside the middle of each. */
  const uncovered = (): Promise<boolean[]> =>
    explorer().page.evaluate(({ rows, columns }) => {
      const canvas = document.querySelector('[role=application] canvas') as HTMLCanvasElement;
      const copy = new OffscreenCanvas(canvas.width, canvas.height);
      const context = copy.getContext('2d', { willReadFrequently: true });
      if (context === null) return [];
      context.drawImage(canvas, 0, 0);
      const [w, h] = [canvas.width / columns, canvas.height / rows];
      return Array.from({ length: rows * columns }, (_, token) => {
        const [x, y] = [((token % columns) + 0.5) * w, (Math.floor(token / columns) + 0.5) * h];
        return context.getImageData(Math.floor(x), Math.floor(y), 1, 1).data[0] > 240;
      });
    }, grid);

  it.each([
    ['axial(grid=[12,16],axes=[[0],[1]])', 37],
    ['neighbourhood(grid=[12,16],radius=[2,3],border=clamp)', 16],
    ['strided(stride=16)', 150],
  ])('shows on the picture what %s allows', async (text, patch) => {
    await openWhite(text, patch);
    const pattern = parsePattern(text);
    const wanted = Array.from({ length: tokens }, (_, k) => k === patch || allows(pattern, { head: 0, q: patch, k }));
    await expect.poll(uncovered).toEqual(wanted);
    const count = wanted.filter(Boolean).length;
    expect(await explorer().page.textContent('#patch-says')).toContain(`reads ${count} of 192 patches`);
  });

  it('chooses patches by keyboard, and keeps the picture where a file is no image', async () => {
    const { page } = explorer();
    await openWhite('axial(grid=[12,16],axes=[[0],[1]])', 37);
    await page.focus('[role=application]');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowRight');
    await page.getByText('row 4, column 7').waitFor();
    await page.waitForFunction(() => location.hash.includes('content.patch=54'));
    const buffer = Buffer.from('no image');
    await page.setInputFiles('input[type=file]', { name: 'notes.png', mimeType: 'image/png', buffer });
    await page.getByRole('alert').getByText('notes.png is not an image').waitFor();
    expect((await uncovered())[54]).toBe(true);
    await page.getByText('Shown: white.png').waitFor();
    await page.getByRole('button', { name: 'Shifted windows' }).click();
    await page.getByText('reads 16 of 192 patches').waitFor();
  });

  it('runs a text in the page with the losses and the weights of the model', async () => {
    const { page } = explorer();
    const files = await modelFiles();
    const pattern = 'causal&(sinks:1+window:4)';
    // Before the page opens: colours that are still changing would be measured as they pass.
    await page.emulateMedia({ colorScheme: 'light' });
    const own = { 'content.character': '40', 'content.layer': '1', 'content.head': '2' };
    await explorer().open({ section: 'content', patterns: [pattern], tokens: 256, own });
    await page.waitForSelector('section[data-model=open], section[data-model=missing]');
    if (!hasBundled) {
      await page.getByText('served without the weights').waitFor();
      await page.setInputFiles('input[multiple]', [
        { name: 'config.json', mimeType: 'application/json', buffer: files.config },
        { name: 'model.safetensors', mimeType: 'application/octet-stream', buffer: files.weights },
      ]);
      await page.waitForSelector('section[data-model=open]');
    }
    const text = 'The sea was calm; señor Núñez read “the log” — twice. 海は静か。 The sea was calm.';
    await page.fill('#content-text', '');
    await page.getByRole('button', { name: 'Run the model' }).click();
    await page.getByRole('alert').getByText('the text is empty').waitFor();
    await page.fill('#content-text', 'x'.repeat(MOST_BYTES + 1));
    await page.getByRole('button', { name: 'Run the model' }).click();
    await page.getByRole('alert').getByText('2,001 bytes').waitFor();
    await page.fill('#content-text', text);
    await page.getByRole('button', { name: 'Run the model' }).click();
    const means = page.locator('[data-means] dd');
    await means.first().waitFor();

    await using device = await createDevice({ threads: 1 });
    const model = await TextModel.create(await readModelFiles(files.config.toString(), files.weights), device);
    const ids = tokensOf(text);
    const runs = [
      await model.run(ids, [parsePattern(pattern)]),
      await model.run(ids, [causal()]),
      await model.run(ids),
    ];
    for (const [i, { losses }] of runs.entries()) {
      const bits = losses.reduce((sum, loss) => sum + loss, 0) / losses.length / Math.LN2;
      expect(Number(await means.nth(i).textContent())).toBeCloseTo(bits, 1);
    }
    // The shade of a character is the root of its share of the greatest weight.
    const characters = charactersOf(text);
    const at = characters[40].end - 1;
    const rows = await Promise.all(
      runs.slice(0, 2).map(async (run) => (await model.weights(run, 1, { start: at, end: at + 1 }))[2]),
    );
    const most = Math.max(...rows.flatMap(({ values }) => [...values]));
    for (const [i, name] of ['Attention under the pattern', 'Dense attention'].entries()) {
      const { columns, values } = rows[i];
      const shades = await page
        .getByRole('application', { name })
        .locator('span[data-at]')
        .evaluateAll((all) => all.map((own) => Number(/([\d.]+)%/.exec(own.getAttribute('style') ?? '')?.[1] ?? 0)));
      const wanted = characters.map(({ first, end }) => {
        const sum = values.reduce((sum, value, j) => (columns[j] >= first && columns[j] < end ? sum + value : sum), 0);
        return Math.sqrt(sum / most);
      });
      expect(shades.length).toBe(characters.length);
      for (const [j, shade] of shades.entries())
        expect(Math.abs(shade / 62 - Math.min(1, wanted[j]))).toBeLessThan(0.01);
    }
    expect(await explorer().axe()).toEqual([]);
    for (const width of [360, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      await explorer().shoot(`content-text-${width}-light`);
    }
  });

  /** Drops or pastes a file, as the system would hand it to the page. */
  async function hand(way: 'drop' | 'paste', name: string, type: string, content: Buffer): Promise<void> {
    await explorer().page.evaluate(
      ({ way, name, type, bytes }) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
        const zone = document.querySelector('.zone');
        if (zone === null) throw new Error('the page takes no files');
        const options = { bubbles: true, cancelable: true };
        if (way === 'paste') zone.dispatchEvent(new ClipboardEvent('paste', { ...options, clipboardData: transfer }));
        else {
          for (const step of ['dragover', 'drop'])
            zone.dispatchEvent(new DragEvent(step, { ...options, dataTransfer: transfer }));
        }
      },
      { way, name, type, bytes: [...content] },
    );
  }

  it.each(['drop', 'paste'] as const)(
    'takes a text file by %s, and keeps the text where the file is none',
    async (way) => {
      const { page } = explorer();
      await explorer().open({ section: 'content', patterns: ['causal&window:8'], tokens: 64 });
      await page.waitForSelector('#content-text');
      const text = `Ein Satz für ${way}: „schön“.`;
      await hand(way, 'note.txt', 'text/plain', Buffer.from(text));
      await expect.poll(() => page.inputValue('#content-text')).toBe(text);
      await hand(way, 'noise.txt', 'text/plain', Buffer.from([0xff, 0xfe, 0x00, 0x81]));
      await page.getByRole('alert').getByText('noise.txt is not a text in UTF-8').waitFor();
      expect(await page.inputValue('#content-text')).toBe(text);
    },
  );

  it.each(['drop', 'paste'] as const)(
    'takes an image by %s, and keeps the picture where the file is none',
    async (way) => {
      const { page } = explorer();
      await openWhite('axial(grid=[12,16],axes=[[0],[1]])', 37);
      await hand(way, 'other.png', 'image/png', await drawnWhite());
      await page.getByText('Shown: other.png').waitFor();
      await hand(way, 'page.html', 'image/png', Buffer.from('<html>'));
      await page.getByRole('alert').getByText('page.html is not an image').waitFor();
      await page.getByText('Shown: other.png').waitFor();
      expect((await uncovered())[37]).toBe(true);
    },
  );

  it('shows a picture that is accessible and fits', async () => {
    const { page } = explorer();
    for (const [width, colorScheme] of [
      [1440, 'light'],
      [360, 'dark'],
    ] as const) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      const own = { 'content.view': 'image' };
      await explorer().open({ section: 'content', patterns: ['axial(grid=[12,16],axes=[[0],[1]])'], tokens, own });
      await page.waitForSelector('[role=application] canvas');
      if (width === 360) expect(await explorer().axe()).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      await explorer().shoot(`content-image-${width}-${colorScheme}`);
    }
  });

  /** A white PNG of 32 x 24 pixels, drawn in the page's own browser. */
  async function drawnWhite(): Promise<Buffer> {
    const data = await explorer().page.evaluate(async () => {
      const canvas = new OffscreenCanvas(320, 240);
      const context = canvas.getContext('2d');
      if (context !== null) {
        context.fillStyle = '#fff';
        context.fillRect(0, 0, 320, 240);
      }
      return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];
    });
    return Buffer.from(data);
  }
}

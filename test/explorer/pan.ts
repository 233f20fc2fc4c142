import type { Browser } from 'playwright-core';

/** Frames that are timed while panning. */
export const FRAMES = 200;
/** Steps of zoom before panning: from the whole to where tiles come into sight with every few frames. */
const ZOOMS = 5;
/** For Chromium: a frame then takes as long as it takes, not as long as the screen waits. */
export const NO_FRAME_LIMIT = ['--disable-frame-rate-limit', '--disable-gpu-vsync'];

/** Opens the matrix at `url`, drags it by a few pixels for each frame, and says how long each took and how many tiles it had. */
export async function pan(browser: Browser, url: string): Promise<{ milliseconds: number[]; tiles: number }> {
  await using context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForSelector('canvas[data-missing="0"]');
  await page.focus('[role=application]');
  for (let i = 0; i < ZOOMS; i++) await page.keyboard.press('+');
  await page.waitForSelector('canvas[data-missing="0"]');
  return await page.evaluate(async (frames) => {
    const canvas = document.querySelector<HTMLCanvasElement>('.stage canvas');
    if (canvas === null) throw new Error('the page has no matrix');
    // The pointer of these events is not a real one, which cannot be captured.
    canvas.setPointerCapture = () => {};
    const box = canvas.getBoundingClientRect();
    const send = (type: string, x: number, y: number): void => {
      const [clientX, clientY] = [box.left + x, box.top + y];
      canvas.dispatchEvent(new PointerEvent(type, { pointerId: 9, clientX, clientY, bubbles: true }));
    };
    const frame = (): Promise<number> =>
      new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now())));
    send('pointerdown', 300, 300);
    let last = await frame();
    const milliseconds: number[] = [];
    let tiles = 0;
    for (let i = 0; i < frames; i++) {
      // There and back, so that the border of the matrix is not reached.
      const way = Math.abs(((i + frames / 4) % frames) - frames / 2);
      send('pointermove', 300 - way * 6, 300 - way * 5);
      const now = await frame();
      milliseconds.push(now - last);
      last = now;
      tiles = Math.max(tiles, Number(canvas.dataset.drawn));
    }
    return { milliseconds, tiles };
  }, FRAMES);
}

import { ArgumentError } from '../../../../src/errors.ts';

const MOST_BYTES = 64 * 2 ** 20;
/** Longer sides are scaled down to this. */
const MOST_PIXELS = 1600;

/** A file's picture. Throws ArgumentError for what is none. */
export async function readPicture(file: Blob, name: string): Promise<ImageBitmap> {
  if (file.size > MOST_BYTES) {
    throw new ArgumentError(
      `${name} has ${Math.round(file.size / 2 ** 20)} MiB; the page reads images of up to 64 MiB`,
    );
  }
  let whole: ImageBitmap;
  try {
    whole = await createImageBitmap(file);
  } catch {
    throw new ArgumentError(`${name} is not an image that this browser can read; try a PNG, JPEG or WebP file`);
  }
  const scale = MOST_PIXELS / Math.max(whole.width, whole.height);
  if (scale >= 1) return whole;
  return createImageBitmap(whole, {
    resizeWidth: Math.max(1, Math.round(whole.width * scale)),
    resizeHeight: Math.max(1, Math.round(whole.height * scale)),
    resizeQuality: 'high',
  });
}

/** A picture to begin with, drawn here: a house under a tree, hills and a sun. */
export async function examplePicture(): Promise<ImageBitmap> {
  const canvas = new OffscreenCanvas(960, 720);
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('this browser has no canvas');
  const sky = context.createLinearGradient(0, 0, 0, 460);
  sky.addColorStop(0, '#5d93c8');
  sky.addColorStop(1, '#f3d9b1');
  context.fillStyle = sky;
  context.fillRect(0, 0, 960, 720);
  circle(context, '#fff1c9', 745, 150, 62);
  for (const [x, y, r] of [
    [190, 130, 44],
    [240, 112, 56],
    [300, 134, 40],
    [520, 210, 26],
    [552, 200, 34],
    [590, 212, 24],
  ])
    circle(context, '#ffffffd0', x, y, r);
  hill(context, '#7d97a8', 430, 90, 0.007, 0.4);
  hill(context, '#6c9a78', 490, 60, 0.009, 2.4);
  hill(context, '#4f8557', 570, 36, 0.006, 4.3);
  context.fillStyle = '#c9b08a';
  shape(context, [610, 720], [500, 720], [574, 566], [590, 566]);
  context.fillStyle = '#e8dcc8';
  context.fillRect(520, 430, 190, 140);
  context.fillStyle = '#a8493a';
  shape(context, [500, 436], [615, 340], [730, 436]);
  context.fillStyle = '#7b3a2e';
  context.fillRect(660, 350, 26, 60);
  context.fillStyle = '#5a4334';
  context.fillRect(560, 490, 44, 80);
  context.fillStyle = '#7fb2d6';
  context.fillRect(636, 470, 46, 44);
  context.fillStyle = '#5d4630';
  context.fillRect(212, 430, 34, 190);
  for (const [x, y, r] of [
    [228, 360, 104],
    [160, 410, 70],
    [300, 404, 74],
    [226, 290, 66],
  ])
    circle(context, '#2f6b3f', x, y, r);
  circle(context, '#3d8050', 204, 330, 58);
  for (let i = 0; i < 26; i++)
    circle(context, i % 3 === 0 ? '#e9d34f' : '#d9677b', 40 + ((i * 193) % 900), 610 + ((i * 71) % 100), 6);
  return createImageBitmap(canvas);
}

type Context = OffscreenCanvasRenderingContext2D;

function circle(context: Context, colour: string, x: number, y: number, radius: number): void {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function shape(context: Context, ...corners: readonly (readonly [number, number])[]): void {
  context.beginPath();
  for (const [x, y] of corners) context.lineTo(x, y);
  context.fill();
}

function hill(context: Context, colour: string, top: number, height: number, rate: number, start: number): void {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(0, 720);
  for (let x = 0; x <= 960; x += 8) context.lineTo(x, top + height * Math.sin(x * rate + start));
  context.lineTo(960, 720);
  context.fill();
}

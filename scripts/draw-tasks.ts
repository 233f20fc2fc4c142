/**
 * Draws images of the generated tasks into docs/images/: eight of each, their labels below one another in the printed list.
 *
 *     node scripts/draw-tasks.ts
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { encodePng } from '../src/mask/png.ts';
import { type TaskName, tasks } from '../src/train/tasks/index.ts';

const COLUMNS = 4;
const ROWS = 2;
/** Pixels of a drawn image's side, and of the gap between two. */
const SIDE = 256;
const GAP = 8;
const GAP_GREY = 96;

const GREYS = Uint8Array.from({ length: 256 * 3 }, (_, i) => Math.floor(i / 3));

/** The first images of a task's training part, enlarged by a whole factor. */
async function drawTask(name: TaskName): Promise<{ readonly png: Uint8Array; readonly labels: readonly number[] }> {
  const task = tasks[name];
  const { training } = task.sets();
  const size = Math.sqrt(task.length);
  const zoom = SIDE / size;
  const width = COLUMNS * (SIDE + GAP) + GAP;
  const height = ROWS * (SIDE + GAP) + GAP;
  const pixels = new Uint8Array(width * height).fill(GAP_GREY);
  const labels: number[] = [];
  for (let image = 0; image < COLUMNS * ROWS; image++) {
    const { tokens, label } = await training.at(image);
    labels.push(label);
    const left = GAP + (image % COLUMNS) * (SIDE + GAP);
    const top = GAP + Math.floor(image / COLUMNS) * (SIDE + GAP);
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        pixels[(top + y) * width + left + x] = tokens[Math.floor(y / zoom) * size + Math.floor(x / zoom)];
      }
    }
  }
  return { png: encodePng(width, height, pixels, GREYS), labels };
}

const folder = fileURLToPath(new URL('../docs/images/', import.meta.url));
mkdirSync(folder, { recursive: true });
for (const name of ['pathfinder-32', 'pathfinder-128', 'counted-shapes'] as const) {
  const { png, labels } = await drawTask(name);
  writeFileSync(`${folder}${name}.png`, png);
  process.stdout.write(`docs/images/${name}.png: labels ${labels.join(' ')}\n`);
}

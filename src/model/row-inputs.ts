/** What a batch becomes before the graph: looked-up rows, rotary angles, patches of images. */
import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import type { HostTensor } from '../graph/index.ts';
import { addTableRows } from './latest-matches.ts';
import type { Parameter, TrainingBatch } from './trainable.ts';

export type Floats = Extract<HostTensor, { type: 'float32' }>;

/** The sum of the tables' rows; `ids` [rows, n] names n rows of its table for each, -1 for none. */
export function lookUp(tables: readonly { table: Parameter; ids: Int32Array }[], rows: number): Floats {
  const width = tables[0]?.table.shape[1] ?? 0;
  const data = new Float32Array(rows * width);
  for (const { table, ids } of tables) addTableRows(table.data, ids, data, width);
  return { type: 'float32', data, shape: [rows, width] };
}

/** Adds each row [rows, width] to the table's rows of its ids [rows, n], in the order of the rows. */
export function addRows(table: Float32Array, ids: Int32Array, rows: Float32Array, width: number): void {
  const each = (ids.length * width) / rows.length;
  for (const [at, id] of ids.entries()) {
    if (id < 0) continue;
    const [from, to] = [Math.floor(at / each) * width, id * width];
    for (let i = 0; i < width; i++) table[to + i] += rows[from + i] as number;
  }
}

export function angles(frequencies: Float64Array, positions: Int32Array): { cos: Floats; sin: Floats } {
  const half = frequencies.length;
  const [cos, sin] = [new Float32Array(positions.length * half), new Float32Array(positions.length * half)];
  for (const [row, position] of positions.entries()) {
    for (let i = 0; i < half; i++) {
      const angle = position * (frequencies[i] as number);
      cos[row * half + i] = Math.cos(angle);
      sin[row * half + i] = Math.sin(angle);
    }
  }
  const shape = [positions.length, half];
  return { cos: { type: 'float32', data: cos, shape }, sin: { type: 'float32', data: sin, shape } };
}

/** Images whose pixels are the tokens of a batch, line by line, channels last; the rows of the model are patches of them. */
export interface PatchGrid {
  readonly height: number;
  readonly width: number;
  /** Default 1. */
  readonly channels?: number;
  /** Side of a patch; divides height and width. */
  readonly patch: number;
}

/** Rows and columns of patches, and the numbers in one. */
export function patchSizes({ height, width, channels = 1, patch }: PatchGrid): {
  readonly grid: readonly [number, number];
  readonly count: number;
  readonly numbers: number;
} {
  const grid = [height / patch, width / patch] as const;
  if (!grid.every((side) => Number.isInteger(side) && side > 0)) {
    throw new ArgumentError(`patches of ${patch} must divide images of ${height} x ${width}`);
  }
  return { grid, count: grid[0] * grid[1], numbers: patch * patch * channels };
}

/** The patches of each image [images * patches, numbers], pixels 0..255 as -1..1; a batch must hold whole images. */
export function patchesOf(batch: TrainingBatch, grid: PatchGrid): Floats {
  const { width, channels = 1, patch } = grid;
  const { count, numbers, grid: sides } = patchSizes(grid);
  const size = count * numbers;
  const { inputs, starts } = batch;
  if (inputs.length !== starts.length * size || starts.some((start, i) => start !== i * size)) {
    throw new ArgumentError(
      `the batch has ${counted(inputs.length, 'pixel')} in ${counted(starts.length, 'image')}; each image must have ${size}`,
    );
  }
  const data = new Float32Array(inputs.length);
  let to = 0;
  for (const start of starts) {
    for (let row = 0; row < sides[0]; row++) {
      for (let column = 0; column < sides[1]; column++) {
        for (let y = 0; y < patch; y++) {
          const from = start + ((row * patch + y) * width + column * patch) * channels;
          for (let i = 0; i < patch * channels; i++) data[to++] = (inputs[from + i] as number) / 127.5 - 1;
        }
      }
    }
  }
  return { type: 'float32', data, shape: [starts.length * count, numbers] };
}

/** Where golden files, models and texts lie: beside the repository, or where the environment says. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toTypedArray } from '../../src/checkpoint/index.ts';
import { openCheckpoint } from '../../src/checkpoint/node.ts';

const SHARED = join(import.meta.dirname, '../../../shared');

export const GOLDEN = process.env.FARFIELD_GOLDEN ?? join(SHARED, 'golden');
export const MODELS = process.env.FARFIELD_MODELS ?? join(SHARED, 'models');
export const TEXTS = process.env.FARFIELD_TEXTS ?? join(SHARED, 'texts');

/** The folders in a folder, sorted; none where it is absent. */
export function casesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

export function readJson<T>(...path: string[]): T {
  return JSON.parse(readFileSync(join(...path), 'utf8')) as T;
}

export interface GoldenTensor {
  readonly shape: readonly number[];
  /** Numbers, whatever the file stores. */
  readonly data: Float32Array | Int32Array;
}

/** All tensors of a safetensors file. */
export async function readTensors(...path: string[]): Promise<(name: string) => GoldenTensor> {
  const { checkpoint } = await openCheckpoint(join(...path));
  const tensors = new Map<string, GoldenTensor>();
  for (const name of checkpoint.names()) {
    const stored = await checkpoint.read(name);
    const values = toTypedArray(stored);
    const data =
      values instanceof Float32Array ? values : Int32Array.from(values as ArrayLike<number | bigint>, Number);
    tensors.set(name, { shape: stored.shape, data });
  }
  await checkpoint.close();
  return (name) => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`${join(...path)} has no tensor ${name}`);
    return tensor;
  };
}

export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

/** How often |got - want| exceeds atol + rtol |want|, and the first such place, as a sentence; '' where all agree. */
export function disagreement(got: ArrayLike<number>, want: ArrayLike<number>, { atol, rtol }: Tolerance): string {
  if (got.length !== want.length) return `${got.length} numbers instead of ${want.length}`;
  let count = 0;
  let first = '';
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [got[i] as number, want[i] as number];
    if (a === b || Math.abs(a - b) <= atol + rtol * Math.abs(b)) continue;
    if (count++ === 0) first = `[${i}] is ${a} instead of ${b}`;
  }
  return count === 0 ? '' : `${count} of ${want.length} differ, the first: ${first}`;
}

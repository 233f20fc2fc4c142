/** Saves of a training: writing one, finding the last whole one, and putting it back. */
import { openSafetensors, readFloat32 } from '../../checkpoint/index.ts';
import { writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import { TrainingError } from '../../errors.ts';
import type { Optimizer } from '../optimizer/optimizer.ts';
import type { Parameter } from '../trainable.ts';
import type { WeightAverage } from '../weight-average.ts';
import { damageOf, readText, writeWithManifest } from './manifest.ts';
import type { SaveFolder } from './save-folder.ts';
import { stateFromJson, stateToJson, type TrainingState } from './state.ts';

const WEIGHTS = 'model.safetensors';
const AVERAGE = 'average.safetensors';
const OPTIMIZER = 'optimizer.safetensors';
const STATE = 'state.json';

const OTHER_MODEL =
  'it is of another model. Resume it with the configuration that it was saved with, or choose another folder';

/** The tensors that a save holds, live: saving reads them and resuming writes them. */
export interface TrainingTensors {
  readonly parameters: readonly Parameter[];
  readonly optimizer: Optimizer;
  readonly average?: WeightAverage | undefined;
}

/** The name of the save after `step` steps. */
export function saveName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

/** The steps done by the saves that a folder lists, the last first. Other names are left alone. */
export async function savedSteps(folder: SaveFolder): Promise<number[]> {
  const names = await folder.saves();
  const steps = names.filter((name) => /^step-\d{8,}$/.test(name)).map((name) => Number(name.slice(5)));
  return steps.sort((a, b) => b - a);
}

/**
 * Writes a save of everything, with `files` beside it, and then removes all but the last `keep`. Where it fails, the earlier saves are as they were.
 * @throws CheckpointError where the folder cannot be written.
 */
export async function writeSave(
  folder: SaveFolder,
  { parameters, optimizer, average }: TrainingTensors,
  state: TrainingState,
  { keep, files }: { readonly keep: number; readonly files: Readonly<Record<string, Uint8Array>> },
): Promise<string> {
  const name = saveName(state.step);
  const writer = await folder.begin(name);
  try {
    await writeWithManifest(writer, [
      [WEIGHTS, writeSafetensors(parameters, { format: 'farfield' })],
      ...(average === undefined ? [] : [[AVERAGE, writeSafetensors(average.tensors)] as const]),
      [OPTIMIZER, writeSafetensors(optimizer.state)],
      [STATE, [new TextEncoder().encode(stateToJson(state))]],
      ...Object.entries(files).map(([file, bytes]) => [file, [bytes]] as const),
    ]);
    await folder.log.sync();
    await writer.commit();
  } catch (error) {
    // What cannot be removed is hidden, and goes when the next save begins.
    await writer.abandon().catch(() => {});
    throw error;
  }
  for (const step of (await savedSteps(folder)).slice(keep)) await folder.remove(saveName(step));
  return name;
}

/**
 * The weights of the last whole save by their names, or their average ('preferred': where there is one). createGpt() and others
 * take them to begin with.
 * @throws TrainingError where there is no save that is whole, or it has no average.
 */
export async function savedWeights(
  folder: SaveFolder,
  { average = false }: { readonly average?: boolean | 'preferred' } = {},
): Promise<Map<string, Float32Array>> {
  const found = await findSave(folder);
  if (found === undefined) throw new TrainingError(`${folder.name}: there is no save in it`);
  if (average === true && !found.state.average) {
    throw new TrainingError(`${folder.name}/${found.name} has no average of the weights: it was trained without`);
  }
  const source = await folder.open(found.name, average && found.state.average ? AVERAGE : WEIGHTS);
  try {
    const checkpoint = await openSafetensors(source);
    const weights = new Map<string, Float32Array>();
    for (const name of checkpoint.names()) weights.set(name, await readFloat32(checkpoint, name));
    return weights;
  } finally {
    await source.close?.();
  }
}

export interface FoundSave {
  readonly name: string;
  readonly state: TrainingState;
  /** Later saves that are not whole, and why. */
  readonly damaged: readonly string[];
}

/**
 * The last save that is whole: every file has its size and hash. Undefined where the folder has no save.
 * @throws TrainingError where it has saves, but none that is whole, or the whole one is of another version.
 */
export async function findSave(folder: SaveFolder): Promise<FoundSave | undefined> {
  const damaged: string[] = [];
  for (const step of await savedSteps(folder)) {
    const name = saveName(step);
    const damage = await damageOf(folder, name);
    if (damage === undefined) {
      const state = stateFromJson(await readText(folder, name, STATE), `${folder.name}/${name}/${STATE}`);
      return { name, state, damaged };
    }
    damaged.push(`${name}: ${damage}`);
  }
  if (damaged.length === 0) return undefined;
  throw new TrainingError(`${folder.name}: no save in it is whole: ${damaged.join('; ')}`);
}

/**
 * Puts a save's tensors back. Everything is checked before the first is changed.
 * @throws TrainingError where the save is of another model or another optimizer.
 */
export async function restoreSave(
  folder: SaveFolder,
  { name, state }: FoundSave,
  optimizerName: string,
  { parameters, optimizer, average }: TrainingTensors,
): Promise<void> {
  const place = `${folder.name}/${name}`;
  if (state.optimizer.name !== optimizerName) {
    throw new TrainingError(
      `${place} was saved with the optimizer ${state.optimizer.name}, and cannot be resumed with ${optimizerName}: give that one, or begin in another ` +
        'folder with its weights',
    );
  }
  const files: [string, readonly Parameter[]][] = [
    [WEIGHTS, parameters],
    [OPTIMIZER, optimizer.state],
  ];
  if (average !== undefined) files.push([state.average ? AVERAGE : WEIGHTS, average.tensors]);
  const puts: (() => void)[] = [];
  for (const [file, tensors] of files) puts.push(...(await readTensors(folder, name, file, tensors)));
  for (const put of puts) put();
  optimizer.steps = state.optimizer.steps;
}

/** Reads a file of a save, and gives what remains to be done to put its tensors in their places. */
async function readTensors(
  folder: SaveFolder,
  save: string,
  file: string,
  tensors: readonly Parameter[],
): Promise<(() => void)[]> {
  const place = `${folder.name}/${save}/${file}`;
  const source = await folder.open(save, file);
  try {
    const checkpoint = await openSafetensors(source);
    const names = new Set(tensors.map(({ name }) => name));
    const extra = checkpoint.names().find((name) => !names.has(name));
    if (extra !== undefined)
      throw new TrainingError(`${place} has "${extra}", which this model has not: ${OTHER_MODEL}`);
    const puts: (() => void)[] = [];
    for (const { name, shape, data } of tensors) {
      if (!checkpoint.has(name)) throw new TrainingError(`${place} has no "${name}": ${OTHER_MODEL}`);
      const saved = checkpoint.info(name).shape;
      if (saved.join() !== shape.join()) {
        throw new TrainingError(
          `${place}: "${name}" has the shape [${saved}], and [${shape}] in this model: ${OTHER_MODEL}`,
        );
      }
      const values = await readFloat32(checkpoint, name);
      puts.push(() => data.set(values));
    }
    return puts;
  } finally {
    await source.close?.();
  }
}

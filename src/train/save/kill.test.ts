/** A training in a process of its own, which is killed again and again without warning. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { train } from '../loop.ts';
import { adamw } from '../optimizer/adamw.ts';
import type { TrainOptions } from '../options.ts';
import { bigramModel, bigramSource, noise } from '../testing.ts';
import { diskFolder } from './folder-node.ts';
import { findSave } from './save.ts';

const KILLS = 24;
const SAVE_EVERY = 3;
/** More than all kills together let happen. */
const STEPS = 3000;
const VOCABULARY = 23;

const program = (folder: string): string => `
  import { train } from ${JSON.stringify(new URL('../loop.ts', import.meta.url).href)};
  import { adamw } from ${JSON.stringify(new URL('../optimizer/adamw.ts', import.meta.url).href)};
  import { diskFolder } from ${JSON.stringify(new URL('./folder-node.ts', import.meta.url).href)};
  import { bigramModel, bigramSource } from ${JSON.stringify(new URL('../testing.ts', import.meta.url).href)};
  await train({
    trainable: bigramModel(${VOCABULARY}),
    source: bigramSource(${VOCABULARY}),
    optimizer: adamw(),
    schedule: { shape: 'cosine', learningRate: 0.05 },
    steps: ${STEPS},
    average: 0.99,
    folder: diskFolder(${JSON.stringify(folder)}),
    saveEvery: ${SAVE_EVERY},
    resume: true,
    onProgress: ({ kind, step }) => process.stdout.write(kind + ' ' + step + '\\n'),
  });`;

interface Life {
  /** Steps of the save that it went on from. */
  readonly began: number;
  /** The last step and the last save that it told of before it was killed. */
  readonly step: number;
  readonly saved: number;
  readonly signal: NodeJS.Signals | null;
}

/** Runs the training and kills it some microseconds after it has told of some number of events. */
async function live(folder: string, events: number, milliseconds: number): Promise<Life> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(folder)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on('exit', (_, signal) => resolve(signal)));
  const last = { start: -1, step: 0, save: 0, evaluation: 0 };
  let seen = 0;
  for await (const line of createInterface(child.stdout)) {
    const [kind, step] = line.split(' ');
    last[kind as keyof typeof last] = Number(step);
    if (++seen === events) setTimeout(() => child.kill('SIGKILL'), milliseconds);
  }
  return { began: last.start, step: last.step, saved: last.save, signal: await ended };
}

describe('a training that is killed', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'farfield-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it(`${KILLS} times loses at most the steps since the last save, never a save, and not a bit of the result`, async () => {
    const random = (what: number, kill: number) => (noise(what, kill) + 1) / 2;
    let saved = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const life = await live(folder, 1 + Math.floor(random(1, kill) * 25), random(2, kill) * 8);
      expect(life.signal).toBe('SIGKILL');
      // It went on from the last save that anyone was told of, or from one finished in the moment of the kill.
      expect(life.began).toBeGreaterThanOrEqual(saved);
      expect(life.began).toBeLessThanOrEqual(saved + SAVE_EVERY);
      const found = await findSave(diskFolder(folder));
      expect(found?.damaged ?? []).toEqual([]);
      saved = Math.max(life.began, life.saved);
      const step = found?.state.step ?? 0;
      expect(step).toBeGreaterThanOrEqual(saved);
      expect(life.step - step).toBeLessThanOrEqual(SAVE_EVERY);
      expect(step % SAVE_EVERY).toBe(0);
    }
    const common: TrainOptions = {
      trainable: bigramModel(VOCABULARY),
      source: bigramSource(VOCABULARY),
      optimizer: adamw(),
      schedule: { shape: 'cosine', learningRate: 0.05 },
      steps: STEPS,
      average: 0.99,
    };
    await train({ ...common, folder: diskFolder(folder), resume: true });
    const whole = { ...common, trainable: bigramModel(VOCABULARY), source: bigramSource(VOCABULARY) };
    const { averageLoss } = await train(whole);
    for (const [i, { data }] of common.trainable.parameters.entries()) {
      expect(new Uint32Array(data.buffer)).toEqual(new Uint32Array(whole.trainable.parameters[i].data.buffer));
    }
    const log = await diskFolder(folder).log.read();
    const lines = log
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.filter(({ kind }) => kind === 'step').map(({ step }) => step)).toEqual(
      Array.from({ length: STEPS }, (_, i) => i + 1),
    );
    expect(lines.at(-1)).toMatchObject({ kind: 'evaluation', step: STEPS, averageLoss });
  }, 300_000);
});

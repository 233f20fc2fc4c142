import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CheckpointError } from '../../errors.ts';
import { adamw, type TrainOptions, train } from '../index.ts';
import { bigramModel, bigramSource } from '../testing.ts';
import { diskFolder } from './folder-node.ts';

/** Bytes that the disk still takes. */
let room = Infinity;

// As a disk that fills up: writes take what fits, then fail as the system's do.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const open: typeof real.open = async (...args) => {
    const handle = await real.open(...args);
    const write = handle.write.bind(handle) as (data: Uint8Array, offset: number, length: number) => Promise<unknown>;
    handle.write = (async (data: Uint8Array, offset: number, length: number) => {
      if (length > 0 && room === 0) {
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      }
      const some = Math.min(length, room);
      room -= some;
      return write(data, offset, some);
    }) as typeof handle.write;
    return handle;
  };
  return { ...real, open };
});

describe('a training on a disk that fills up', () => {
  let path = '';
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'farfield-'));
  });
  afterEach(() => {
    room = Infinity;
    rmSync(path, { recursive: true });
  });

  const optionsOf = (steps: number, rest: Partial<TrainOptions> = {}): TrainOptions => ({
    trainable: bigramModel(7),
    source: bigramSource(7),
    optimizer: adamw(),
    schedule: { shape: 'constant', learningRate: 0.01 },
    steps,
    folder: diskFolder(path),
    ...rest,
  });
  const filesOf = (save: string) => readdirSync(join(path, save)).map((file) => readFileSync(join(path, save, file)));

  it('says so, keeps the last save and no half one, and goes on where there is room, wherever it was full', async () => {
    const whole = optionsOf(4, { folder: undefined });
    await train(whole);
    await train(optionsOf(2));
    const before = filesOf('step-00000002');
    let failures = 0;
    for (let bytes = 0; ; bytes += 150) {
      room = bytes;
      const failure: unknown = await train(optionsOf(4, { resume: true })).then(
        () => undefined,
        (error) => error,
      );
      room = Infinity;
      if (failure === undefined) break;
      failures++;
      expect(failure).toBeInstanceOf(CheckpointError);
      const where = new RegExp(
        `^cannot (save|write) ${path}/(step-00000004|log\\.jsonl): the disk is full; make room and resume`,
      );
      expect((failure as Error).message).toMatch(where);
      expect((failure as Error).message).toContain(`. The last save is step-00000002 in ${path}`);
      expect(readdirSync(path).sort()).toEqual(['log.jsonl', 'step-00000002']);
      expect(filesOf('step-00000002')).toEqual(before);
    }
    // In the log, in the weights, in the optimizer's state, and in the small files.
    expect(failures).toBeGreaterThan(10);
    const last = optionsOf(4, { resume: true });
    expect((await train(last)).resumed).toBe('step-00000004');
    expect(last.trainable.parameters.map(({ data }) => data)).toEqual(
      whole.trainable.parameters.map(({ data }) => data),
    );
  });
});

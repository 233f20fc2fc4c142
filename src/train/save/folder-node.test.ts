import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointError } from '../../errors.ts';
import { adamw, type TrainOptions, train } from '../index.ts';
import { bigramModel, bigramSource } from '../testing.ts';
import { diskFolder } from './folder-node.ts';
import { memoryFolder } from './memory-folder.ts';

const text = (content: string) => [new TextEncoder().encode(content)];

describe('diskFolder', () => {
  let path = '';
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'farfield-'));
  });
  afterEach(() => rm(path, { recursive: true }));

  const optionsOf = (steps: number, rest: Partial<TrainOptions> = {}): TrainOptions => ({
    trainable: bigramModel(7),
    source: bigramSource(7),
    optimizer: adamw(),
    schedule: { shape: 'constant', learningRate: 0.01 },
    steps,
    ...rest,
  });

  it('does what the folder in memory does', async () => {
    for (const folder of [memoryFolder(), diskFolder(join(path, 'new', 'run'))]) {
      expect(await folder.saves()).toEqual([]);
      expect(await folder.log.read()).toBe('');
      expect(await folder.log.size()).toBe(0);
      await folder.log.cut(0);
      const writer = await folder.begin('a');
      // The hash of "abc" is the example of FIPS 180-4.
      expect(await writer.write('x', [...text('a'), ...text('bc')])).toEqual({
        bytes: 3,
        sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      });
      expect(await folder.saves()).toEqual([]);
      await writer.commit();
      expect(await folder.saves()).toEqual(['a']);
      expect(await folder.digest('a', 'x')).toMatchObject({ bytes: 3 });
      expect(await folder.digest('a', 'y')).toBeUndefined();
      await expect(folder.open('a', 'y')).rejects.toThrow(CheckpointError);
      const source = await folder.open('a', 'x');
      expect(new TextDecoder().decode(await source.read(0, source.size))).toBe('abc');
      await source.close?.();

      const given_up = await folder.begin('b');
      await given_up.write('x', text('b'));
      await given_up.abandon();
      expect(await folder.saves()).toEqual(['a']);

      const again = await folder.begin('a');
      await again.write('z', text('new'));
      await again.commit();
      expect(await folder.digest('a', 'x')).toBeUndefined();
      expect(await folder.digest('a', 'z')).toMatchObject({ bytes: 3 });
      await folder.remove('a');
      await folder.remove('never there');
      expect(await folder.saves()).toEqual([]);

      await folder.log.append('one\n');
      await folder.log.append('zwölf\n');
      await folder.log.sync();
      expect(await folder.log.size()).toBe(11);
      await folder.log.cut(100);
      await folder.log.cut(4);
      expect(await folder.log.read()).toBe('one\n');
    }
    expect(readdirSync(join(path, 'new', 'run'))).toEqual(['log.jsonl']);
  });

  it('removes what killed processes left, when the next save begins', async () => {
    mkdirSync(join(path, '.step-00000003.part'));
    writeFileSync(join(path, '.step-00000003.part', 'model.safetensors'), 'half');
    mkdirSync(join(path, '.step-00000001.old'));
    await train(optionsOf(2, { folder: diskFolder(path) }));
    expect(readdirSync(path).sort()).toEqual(['log.jsonl', 'step-00000002']);
    expect(readdirSync(join(path, 'step-00000002')).sort()).toEqual([
      ...['manifest.json', 'model.safetensors', 'optimizer.safetensors', 'state.json'],
    ]);
  });

  it('goes on from the save before where a file of the last one is cut short', async () => {
    await train(optionsOf(6, { folder: diskFolder(path), saveEvery: 3 }));
    truncateSync(join(path, 'step-00000006', 'optimizer.safetensors'), 50);
    const last = optionsOf(8, { folder: diskFolder(path), resume: true });
    expect((await train(last)).resumed).toBe('step-00000003');
    const whole = optionsOf(8);
    await train(whole);
    expect(last.trainable.parameters[0].data).toEqual(whole.trainable.parameters[0].data);
    // The damaged one was in the way of nothing, and is no longer among the last two.
    expect(readdirSync(path).sort()).toEqual(['log.jsonl', 'step-00000006', 'step-00000008']);
  });

  it('says why it cannot be written', async () => {
    writeFileSync(join(path, 'file'), '');
    const folder = diskFolder(join(path, 'file', 'run'));
    await expect(train(optionsOf(1, { folder }))).rejects.toThrow(
      `cannot keep saves in ${join(path, 'file', 'run')}: a file stands where a folder is needed`,
    );
  });

  it.skipIf(process.platform === 'win32')(
    'keeps the save before, and no half one, where the disk refuses',
    async () => {
      // A limit on the size of files stands for a full disk: the system refuses in the middle of a write.
      const large = (rest: Partial<TrainOptions> = {}) =>
        optionsOf(4, { trainable: bigramModel(50), source: bigramSource(50), folder: diskFolder(path), ...rest });
      await train(large({ steps: 2 }));
      const before = readFileSync(join(path, 'step-00000002', 'model.safetensors'));
      const program = `
      const { train, adamw } = await import(${JSON.stringify(new URL('../index.ts', import.meta.url).href)});
      const { diskFolder } = await import(${JSON.stringify(new URL('./folder-node.ts', import.meta.url).href)});
      const { bigramModel, bigramSource } = await import(${JSON.stringify(new URL('../testing.ts', import.meta.url).href)});
      const folder = diskFolder(${JSON.stringify(path)});
      const schedule = { shape: 'constant', learningRate: 0.01 };
      const options = { source: bigramSource(50), optimizer: adamw(), schedule, steps: 4 };
      try {
        await train({ ...options, trainable: bigramModel(50), folder, resume: true });
      } catch (error) {
        console.log(error.name + ': ' + error.message);
      }`;
      // 8 or 16 KiB, as shells count in blocks of 512 or 1024 bytes: more than the log takes, less than the optimizer's state.
      const limited = ['-c', 'ulimit -f 16; exec "$0" --input-type=module -e "$1"', process.execPath, program];
      const { stdout } = await promisify(execFile)('sh', limited);
      expect(stdout).toBe(
        `CheckpointError: cannot save ${join(path, 'step-00000004')}: the file is larger than the system allows. ` +
          `The last save is step-00000002 in ${path}\n`,
      );
      expect(readdirSync(path).sort()).toEqual(['log.jsonl', 'step-00000002']);
      expect(readFileSync(join(path, 'step-00000002', 'model.safetensors'))).toEqual(before);
      expect((await train(large({ resume: true }))).resumed).toBe('step-00000002');
      expect(existsSync(join(path, 'step-00000004', 'manifest.json'))).toBe(true);
    },
  );
});

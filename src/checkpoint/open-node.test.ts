import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError } from '../errors.ts';
import { readFloat32 } from './index.ts';
import { fileSource, openCheckpoint } from './node.ts';
import { bytes, ggufFile, safetensorsFile } from './test-files.ts';

const weights = (value: number) =>
  safetensorsFile(
    { w: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } },
    new Uint8Array(Float32Array.of(value).buffer),
  );

describe('openCheckpoint', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'farfield-'));
  });
  afterAll(() => rm(root, { recursive: true }));

  async function folder(name: string, files: Record<string, Uint8Array | string>): Promise<string> {
    const path = join(root, name);
    await mkdir(path);
    for (const [file, content] of Object.entries(files)) await writeFile(join(path, file), content);
    return path;
  }

  it('opens a folder with model.safetensors and config.json, whatever else is in it', async () => {
    const path = await folder('plain', {
      'model.safetensors': weights(7),
      'other.safetensors': weights(8),
      'config.json': '{"model_type":"llama"}',
    });
    const opened = await openCheckpoint(path);
    expect(opened.format).toBe('safetensors');
    expect(opened.config).toEqual({ model_type: 'llama' });
    expect(opened.file).toBe(join(path, 'model.safetensors'));
    expect([...(await readFloat32(opened.checkpoint, 'w'))]).toEqual([7]);
    await opened.checkpoint.close();
    const other = await openCheckpoint(join(path, 'other.safetensors'));
    expect([...(await readFloat32(other.checkpoint, 'w'))]).toEqual([8]);
    await other.checkpoint.close();
  });

  it('opens shards by their index', async () => {
    const path = await folder('sharded', {
      'model-1.safetensors': weights(1),
      'model.safetensors.index.json': '{"weight_map":{"w":"model-1.safetensors"}}',
    });
    for (const target of [path, join(path, 'model.safetensors.index.json')]) {
      const { checkpoint } = await openCheckpoint(target);
      expect([...(await readFloat32(checkpoint, 'w'))]).toEqual([1]);
      await checkpoint.close();
    }
    await rm(join(path, 'model-1.safetensors'));
    await expect(openCheckpoint(path)).rejects.toThrow('model-1.safetensors: cannot be opened: there is no such file');
  });

  it('opens the only GGUF file of a folder, with its metadata', async () => {
    const pair = { key: 'general.architecture', type: 8, value: bytes().string('llama').done() };
    const path = await folder('gguf', { 'some-name.gguf': ggufFile({ pairs: [pair] }) });
    const { checkpoint, metadata, format, config } = await openCheckpoint(path);
    expect([format, metadata?.get('general.architecture'), config]).toEqual(['gguf', 'llama', undefined]);
    await checkpoint.close();
  });

  it('says what it looked for', async () => {
    const failure = (path: string) => expect(openCheckpoint(path)).rejects;
    await failure(join(root, 'absent')).toThrow(/absent: there is no such file or folder$/);
    await failure('all-MiniLM-L6-v2').toThrow(
      'all-MiniLM-L6-v2: there is no such file or folder; a model on the Hugging Face hub is named with its owner: owner/all-MiniLM-L6-v2',
    );
    await failure('model.gguf').toThrow(/^model\.gguf: there is no such file or folder$/);
    const empty = await folder('empty', { 'readme.md': 'x' });
    await failure(empty).toThrow(/looked for model\.safetensors\.index\.json, model\.safetensors, model\.gguf/);
    await failure(join(empty, 'readme.md')).toThrow('is no weight file by its name');
    const broken = await folder('broken', { 'model.gguf': '' });
    await failure(broken).toThrow('model.gguf: is empty; it may be what a broken download left');
    const several = await folder('several', { 'a.gguf': ggufFile({}), 'b.gguf': ggufFile({}) });
    await failure(several).toThrow('name one of them: a.gguf, b.gguf');
    const wrong = await folder('wrong', { 'model.gguf': ggufFile({}), 'config.json': '{' });
    await failure(wrong).toThrow('config.json: is not JSON');
    await failure(wrong).toThrow(CheckpointError);
    await expect(fileSource(root)).rejects.toThrow('is not a file');
  });
});

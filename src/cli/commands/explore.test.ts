import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FarfieldError } from '../../errors.ts';
import { runCommandLine } from '../program.ts';
import { serveFolders } from '../serve-folders.ts';

describe('the server of the explorer', () => {
  let root: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'farfield-serve-'));
    await mkdir(join(root, 'page', 'assets'), { recursive: true });
    await writeFile(join(root, 'page', 'index.html'), '<!doctype html>');
    await writeFile(join(root, 'page', 'assets', 'a.wasm'), Uint8Array.of(0, 97, 115, 109));
    await writeFile(join(root, 'secret.txt'), 'not to be served');
  });

  afterAll(() => rm(root, { recursive: true, force: true }));

  it('serves the folder as isolated pages, with types, and nothing outside it', async () => {
    await using server = await serveFolders({ '/': join(root, 'page') });
    const index = await fetch(server.url);
    expect(await index.text()).toBe('<!doctype html>');
    expect(index.headers.get('content-type')).toContain('text/html');
    expect(index.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(index.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
    const wasm = await fetch(`${server.url}assets/a.wasm`);
    expect(wasm.headers.get('content-type')).toBe('application/wasm');
    expect([...new Uint8Array(await wasm.arrayBuffer())]).toEqual([0, 97, 115, 109]);
    // fetch() would tidy these up before it asks.
    const status = (path: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const asked = request(server.url, { path }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        asked.on('error', reject).end();
      });
    for (const path of ['/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '/assets', '/none', '/%']) {
      expect(await status(path), path).toBe(404);
    }
  });

  it('serves another folder below a path, and nothing outside that one either', async () => {
    await mkdir(join(root, 'models', 'small'), { recursive: true });
    await writeFile(join(root, 'models', 'small', 'config.json'), '{}');
    await using server = await serveFolders({ '/': join(root, 'page'), '/models/': join(root, 'models') });
    expect(await (await fetch(`${server.url}models/small/config.json`)).json()).toEqual({});
    expect((await fetch(`${server.url}models/index.html`)).status).toBe(404);
    expect((await fetch(`${server.url}models/..%2fsecret.txt`)).status).toBe(404);
    expect((await fetch(server.url)).status).toBe(200);
  });

  it('refuses a port that is in use', async () => {
    await using server = await serveFolders({ '/': join(root, 'page') });
    const { port } = new URL(server.url);
    await expect(serveFolders({ '/': join(root, 'page') }, { port: Number(port) })).rejects.toThrow(FarfieldError);
  });
});

describe('farfield explore', () => {
  it('refuses a pattern that is none before it serves anything', async () => {
    let stderr = '';
    const code = await runCommandLine(['explore', '--no-open', '--pattern', 'windw:3'], {
      stdout: { write: () => {} },
      stderr: { write: (text) => (stderr += text) },
    });
    expect(code).toBe(1);
    expect(stderr).toContain('did you mean "window"?');
  });
});

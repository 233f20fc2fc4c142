import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TextError } from '../../errors.ts';
import { loadTokenizer } from '../../text/node.ts';
import { readFloat32 } from '../index.ts';
import { openCheckpoint } from '../node.ts';
import { safetensorsFile } from '../test-files.ts';
import { type HubDownload, type OpenHubOptions, openHub } from './open-hub.ts';
import { COMMIT, gitSha1, refuse, sendContent, sendNothing, sha256, TestHub } from './test-hub-node.ts';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
const weights = (name: string, value: number): Uint8Array =>
  safetensorsFile(
    { [name]: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } },
    new Uint8Array(Float32Array.of(value).buffer),
  );
/** Large enough to come in several parts. */
const large = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) % 256);

describe('openHub', () => {
  let hub: TestHub;
  let cache: string;
  let options: OpenHubOptions;
  beforeEach(async () => {
    for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'])
      vi.stubEnv(name, '');
    hub = new TestHub();
    await hub.start();
    cache = await mkdtemp(join(tmpdir(), 'farfield-hub-'));
    vi.stubEnv('HF_TOKEN_PATH', join(cache, 'token'));
    options = { endpoint: hub.endpoint, cache, retryDelay: 1 };
    hub.files.set('config.json', text('{"model_type":"llama"}'));
    hub.files.set('tokenizer.json', text('{}'));
    hub.files.set('README.md', text('# not needed'));
    hub.files.set('model.safetensors', weights('w', 7));
    hub.files.set('pytorch_model.bin', large);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await hub.stop();
    await rm(cache, { recursive: true });
  });
  const repository = (): string => join(cache, 'models--test--model');
  const blobs = (): Promise<string[]> => readdir(join(repository(), 'blobs'));
  const failure = (id: string, more: OpenHubOptions = {}) => expect(openHub(id, { ...options, ...more })).rejects;

  it('brings what a model needs and nothing else, in the layout of the Hugging Face cache', async () => {
    const opened = await openHub('test/model', options);
    expect(opened.files.toSorted()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect(opened).toMatchObject({ commit: COMMIT, folder: join(repository(), 'snapshots', COMMIT), offline: false });
    expect(await readFile(join(repository(), 'refs', 'main'), 'utf8')).toBe(COMMIT);
    const content = hub.files.get('model.safetensors') ?? new Uint8Array();
    expect(await readlink(join(opened.folder, 'model.safetensors'))).toBe(join('..', '..', 'blobs', sha256(content)));
    expect((await blobs()).sort()).toEqual(
      [gitSha1(text('{"model_type":"llama"}')), gitSha1(text('{}')), sha256(content)].sort(),
    );
    expect(opened.file).toBe(join(opened.folder, 'model.safetensors'));
  });

  it('reads no content a second time, and none that Python has put there', async () => {
    await mkdir(join(repository(), 'blobs'), { recursive: true });
    await writeFile(join(repository(), 'blobs', gitSha1(text('{}'))), '{}');
    await openHub('test/model', options);
    expect(hub.contentRequests().some(({ path }) => path.includes('tokenizer'))).toBe(false);
    const before = hub.contentRequests().length;
    await openHub('test/model', options);
    expect(hub.contentRequests()).toHaveLength(before);
  });

  it('takes shards by their index, in the place of .bin', async () => {
    hub.files.delete('model.safetensors');
    hub.files.set('a.safetensors', weights('a', 1));
    hub.files.set('b.safetensors', weights('b', 2));
    hub.files.set('unused.safetensors', weights('c', 3));
    const map = { weight_map: { a: 'a.safetensors', b: 'b.safetensors' } };
    hub.files.set('model.safetensors.index.json', text(JSON.stringify(map)));
    const { checkpoint } = await openCheckpoint('test/model', { hub: options });
    expect([...(await readFloat32(checkpoint, 'b'))]).toEqual([2]);
    await checkpoint.close();
    expect(hub.contentRequests().some(({ path }) => path.includes('unused') || path.includes('.bin'))).toBe(false);
  });

  it('is behind the paths that loaders take', async () => {
    await expect(loadTokenizer('hf:test/model', { hub: options })).rejects.toThrow(TextError);
    expect(hub.contentRequests().map(({ path }) => path)).toEqual([`/test/model/resolve/${COMMIT}/tokenizer.json`]);
  });

  it('names what there is where a repository has several GGUF files, and takes the one that is named, alone', async () => {
    hub.files.delete('model.safetensors');
    hub.files.set('q4.gguf', large);
    hub.files.set('q8.gguf', large.subarray(9));
    await failure('test/model').toThrow(/name one of them after a colon.*q4\.gguf, q8\.gguf/);
    expect((await openHub('hf:test/model@v1:q8.gguf', options)).files).toEqual(['q8.gguf']);
  });

  it('sends the token to the hub and not to the storage that it redirects to', async () => {
    await openHub('test/model', { ...options, token: 'secret' });
    const withToken = hub.seen.map(({ path, authorization }) => [path.startsWith('/storage/'), authorization]);
    expect(withToken).toContainEqual([true, undefined]);
    expect(withToken.filter(([storage]) => storage === false).every(([, sent]) => sent === 'Bearer secret')).toBe(true);
    expect(withToken.filter(([storage]) => storage === true).every(([, sent]) => sent === undefined)).toBe(true);
  });

  it.each(['HF_TOKEN', 'file'])('finds the token in %s', async (place) => {
    if (place === 'file') await writeFile(join(cache, 'token'), 'found\n');
    else vi.stubEnv(place, 'found');
    await openHub('test/model', options);
    expect(hub.seen[0]?.authorization).toBe('Bearer found');
  });

  it('says with which token it was refused', async () => {
    hub.misbehaveApi = (_, response) => refuse(response, 401, 'RepoNotFound');
    await failure('test/model').toMatchObject({
      failure: 'absent',
      message: expect.stringContaining('No token was sent'),
    });
    await failure('test/model', { token: 'x' }).toMatchObject({
      failure: 'access',
      message: expect.stringContaining('The token from the option token was sent'),
    });
    hub.misbehaveApi = () => false;
    hub.misbehave = (_, response) => refuse(response, 403, 'GatedRepo');
    vi.stubEnv('HF_TOKEN', 'x');
    await failure('test/model').toThrow(/gated: accept its terms at .*test\/model.*environment variable HF_TOKEN/);
  });

  it('names what is not there', async () => {
    await failure('test/other').toMatchObject({
      failure: 'absent',
      message: expect.stringMatching(/test\/other.*404/),
    });
    await failure('test/model@v9').toThrow(/no revision "v9"/);
    await failure('test/model:model.safetensor').toThrow(/no file model\.safetensor; nearest are model\.safetensors/);
    await expect(openCheckpoint('test/other', { hub: options })).rejects.toThrow('no such local path either');
  });

  it('waits as 429 tells, tries again, and gives up after a few times', async () => {
    let refused = 0;
    hub.misbehaveApi = (_, response) => refused++ < 2 && refuse(response, 429, '', { 'retry-after': '0' });
    await openHub('test/model', options);
    expect(refused).toBeGreaterThan(2);
    hub.misbehaveApi = (_, response) => refuse(response, 429, '', { 'retry-after': '0' });
    await failure('test/model', { retries: 2 }).toMatchObject({
      failure: 'busy',
      message: expect.stringContaining('asked 3 times'),
    });
    hub.misbehaveApi = (_, response) => refuse(response, 429, '', { 'retry-after': '4000' });
    await failure('test/model').toThrow(/wait 4000 seconds \(asked 1 time\)/);
  });

  it('tries again after 5xx, and says so where it stays', async () => {
    let refused = 0;
    hub.misbehave = (_, response) => refused++ < 2 && refuse(response, 503);
    await openHub('test/model', options);
    hub.misbehaveApi = (_, response) => refuse(response, 502);
    await failure('test/model', { retries: 1 }).toMatchObject({
      failure: 'server',
      message: expect.stringContaining('502'),
    });
  });

  it('continues where a connection breaks', async () => {
    hub.files.set('model.safetensors', large);
    let broken = 0;
    hub.misbehave = ({ headers }, response, content) => {
      if (content !== large || broken++ > 1) return false;
      const from = Number(headers.range?.slice(6, -1) ?? 0);
      response.writeHead(from === 0 ? 200 : 206, {
        'content-length': String(content.length - from),
        ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }),
      });
      response.write(content.subarray(from, from + 100_000), () => setTimeout(() => response.destroy(), 30));
      return true;
    };
    const { file = '' } = await openHub('test/model', options);
    expect(sha256(await readFile(file))).toBe(sha256(large));
    const ranges = hub.contentRequests().filter(({ path }) => path.startsWith('/storage/'));
    expect(ranges.map(({ range }) => range)).toEqual([undefined, 'bytes=100000-', 'bytes=200000-']);
  });

  it('keeps half a file apart, says so, and continues it in the next call', async () => {
    hub.files.set('model.safetensors', large);
    hub.misbehave = ({ headers }, response, content) => {
      if (content !== large) return false;
      // Ends well, but too early.
      response.writeHead(headers.range === undefined ? 200 : 206, { 'content-range': 'bytes 150000-299999/300000' });
      response.end(headers.range === undefined ? content.subarray(0, 150_000) : undefined);
      return true;
    };
    await failure('test/model', { retries: 2 }).toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining('after 150000 of 300000 bytes'),
    });
    expect(existsSync(join(repository(), 'blobs', sha256(large)))).toBe(false);
    hub.misbehave = () => false;
    hub.seen.length = 0;
    await openHub('test/model', options);
    expect(hub.contentRequests().map(({ range }) => range)).toContain('bytes=150000-');
    expect((await blobs()).filter((name) => name.includes('farfield'))).toEqual([]);
  });

  it('begins again where the server ignores ranges, or what an earlier call left is wrong', async () => {
    hub.files.set('model.safetensors', large);
    await mkdir(join(repository(), 'blobs'), { recursive: true });
    await writeFile(join(repository(), 'blobs', `${sha256(large)}.farfield.incomplete`), new Uint8Array(1000));
    await openHub('test/model', options);
    expect(hub.contentRequests().filter(({ path }) => path.startsWith('/storage/'))).toHaveLength(2);
    await rm(join(repository(), 'blobs'), { recursive: true });
    await mkdir(join(repository(), 'blobs'));
    await writeFile(join(repository(), 'blobs', `${sha256(large)}.farfield.incomplete`), large.subarray(0, 1000));
    hub.misbehave = (_, response, content) => sendContent(response, content, undefined);
    const { file = '' } = await openHub('test/model', options);
    expect(sha256(await readFile(file))).toBe(sha256(large));
  });

  it.each(['model.safetensors', 'config.json'])('deletes %s with a wrong checksum and says so', async (name) => {
    hub.misbehave = (_, response, content) => {
      const wrong = content.slice();
      wrong[0] = (wrong[0] ?? 0) ^ 1;
      return hub.files.get(name) === content && sendContent(response, wrong, undefined);
    };
    await failure('test/model').toMatchObject({
      failure: 'content',
      message: expect.stringMatching(`${name}: the checksum is wrong.*deleted`),
    });
    const digest = (name === 'config.json' ? gitSha1 : sha256)(hub.files.get(name) ?? new Uint8Array());
    expect((await blobs()).filter((blob) => blob.startsWith(digest))).toEqual([]);
  });

  it('gives a connection up on which nothing comes', async () => {
    let stalled = 0;
    hub.misbehave = (_, response) => stalled++ === 0 && sendNothing(response);
    await openHub('test/model', { ...options, stallTimeout: 50 });
    expect(stalled).toBeGreaterThan(1);
  });

  it('stops when told to, and continues in the next call', async () => {
    hub.files.set('model.safetensors', large);
    hub.misbehave = (_, response, content) => {
      if (content !== large) return false;
      response.writeHead(200).write(content.subarray(0, 100_000));
      return true;
    };
    const stop = new AbortController();
    const onDownload = ({ file, done }: HubDownload) => {
      if (file === 'model.safetensors' && done > 100_000) stop.abort();
    };
    await failure('test/model', { signal: stop.signal, onDownload }).toMatchObject({ name: 'AbortError' });
    expect(await blobs()).toContain(`${sha256(large)}.farfield.incomplete`);
    expect((await blobs()).filter((name) => name.endsWith('.lock'))).toEqual([]);
    hub.misbehave = () => false;
    await openHub('test/model', options);
    expect(hub.contentRequests().at(-1)?.range).toBe('bytes=100000-');
  });

  it('works offline with what is there, and names what is not', async () => {
    await failure('test/model', { offline: true }).toMatchObject({ failure: 'offline' });
    await openHub('test/model', options);
    hub.seen.length = 0;
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await openHub('test/model', options)).toMatchObject({ offline: true, commit: COMMIT });
    await failure('test/model:other.gguf').toMatchObject({
      failure: 'offline',
      message: expect.stringContaining('other.gguf'),
    });
    expect(hub.seen).toEqual([]);
  });

  it('takes the cache where the hub cannot be reached', async () => {
    const nobody = { endpoint: 'http://127.0.0.1:1' };
    await failure('test/model', nobody).toMatchObject({ failure: 'unreachable' });
    await openHub('test/model', options);
    expect((await openHub('test/model', { ...options, ...nobody })).offline).toBe(true);
  });

  it('reads each content once where several ask at the same time', async () => {
    hub.files.set('model.safetensors', large);
    await Promise.all([1, 2, 3].map(() => openHub('test/model', options)));
    expect(hub.contentRequests().filter(({ path }) => path.startsWith('/storage/'))).toHaveLength(1);
  });

  it('reports bytes up to the whole', async () => {
    const seen: HubDownload[] = [];
    await openHub('test/model', { ...options, onDownload: (progress) => seen.push(progress) });
    const last = seen.at(-1);
    expect(last?.done).toBe(last?.total);
    expect(last?.total).toBe(22 + 2 + (hub.files.get('model.safetensors')?.length ?? 0));
  });

  it('says that the disk is full, before and while writing', async () => {
    hub.listed.set('model.safetensors', { size: 1e17 });
    await failure('test/model').toMatchObject({ failure: 'disk', message: expect.stringContaining('room for') });
  });

  it.runIf(existsSync('/dev/full'))('says that the disk is full where a write fails', async () => {
    hub.files.set('model.safetensors', large);
    await mkdir(join(repository(), 'blobs'), { recursive: true });
    await symlink('/dev/full', join(repository(), 'blobs', `${sha256(large)}.farfield.incomplete`));
    await failure('test/model').toMatchObject({ failure: 'disk', message: expect.stringContaining('disk is full') });
  });

  it.each(['../up', 'a/../../up', 'C:\\up'])('refuses to write outside the cache: %s', async (name) => {
    hub.files.set(name, text('x'));
    await failure('test/model', { files: [name] }).toMatchObject({ failure: 'argument' });
    expect(existsSync(join(cache, 'up'))).toBe(false);
  });

  it.each(['a b/c', 'a/b/c', '../b', 'a--b/c', 'hf:'])('refuses %s as an id', async (id) => {
    await failure(id).toMatchObject({ failure: 'argument' });
  });
});

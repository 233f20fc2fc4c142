/** openHub() in Node: which commit, which files, and each of them into the cache. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listFiles, modelInfo } from '@huggingface/hub';
import { HubError } from '../../errors.ts';
import { RepositoryCache } from './cache-node.ts';
import { type ChosenFiles, chooseFiles, isIndex, shardsOf } from './choose-files.ts';
import { downloadFile, type HubFile } from './download-node.ts';
import type { OpenedHub, OpenHubOptions } from './open-hub.ts';
import { checkRelative, type HubId, parseHubId } from './repository.ts';
import { type HubClient, hubFetch } from './request-node.ts';
import { hubSettings } from './settings-node.ts';

export async function openHubInNode(id: string, options: OpenHubOptions): Promise<OpenedHub> {
  const { signal } = options;
  signal?.throwIfAborted();
  const named = parseHubId(id);
  const revision = options.revision ?? named.revision ?? 'main';
  checkRelative(revision, `${id}: the revision`);
  const settings = await hubSettings(options);
  const client = { ...settings, repository: named.repository, revision, ...(signal === undefined ? {} : { signal }) };
  const cache = new RepositoryCache(settings.cache, named.repository);
  if (settings.offline) {
    const why = 'offline (HF_HUB_OFFLINE, or the option)';
    return openCached(cache, client, named, options, (detail) => new HubError('offline', `${id}: ${why}: ${detail}`));
  }
  let remote: RemoteFiles;
  try {
    remote = await listRemote(client);
  } catch (error) {
    if (!(error instanceof HubError && error.failure === 'unreachable')) throw error;
    return openCached(cache, client, named, options, (detail) => {
      return new HubError('unreachable', `${error.message}; and ${detail}`, { cause: error });
    });
  }
  return download(cache, client, named, options, remote);
}

interface RemoteFiles {
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
}

/** The commit of the revision and its files, with sizes and digests. */
async function listRemote(client: HubClient): Promise<RemoteFiles> {
  const { endpoint, repository, revision } = client;
  const what = revision === 'main' ? repository : `${repository}@${revision}`;
  // The token goes with hubFetch, which also says what a refusal means.
  const asHub = { hubUrl: endpoint, fetch: ((url, init) => hubFetch(client, String(url), what, init)) as typeof fetch };
  try {
    const { sha } = await modelInfo({ name: repository, revision, additionalFields: ['sha'], ...asHub });
    if (typeof sha !== 'string') throw new HubError('server', `${what}: ${endpoint} names no commit`);
    const files = new Map<string, HubFile>();
    for await (const entry of listFiles({ repo: repository, revision: sha, recursive: true, ...asHub })) {
      if (entry.type !== 'file') continue;
      const { path: name, lfs, oid = '', size } = entry;
      const digest = lfs === undefined ? oid : lfs.oid.replace(/^sha256:/, '');
      const algorithm = lfs === undefined ? 'git-sha1' : 'sha256';
      if (!(algorithm === 'sha256' ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(digest)) {
        throw new HubError('server', `${what}: ${endpoint} has no checksum of ${name}`);
      }
      const place = [...repository.split('/'), 'resolve', sha, ...name.split('/')].map(encodeURIComponent).join('/');
      files.set(name, { name, size: lfs?.size ?? size, digest, algorithm, url: `${endpoint}/${place}` });
    }
    return { commit: sha, files };
  } catch (error) {
    client.signal?.throwIfAborted();
    if (error instanceof HubError) throw error;
    throw new HubError('server', `${what}: ${endpoint} does not answer as the hub does: ${String(error)}`, {
      cause: error,
    });
  }
}

async function download(
  cache: RepositoryCache,
  client: HubClient,
  { repository, file }: HubId,
  { files: wanted = 'model', onDownload }: OpenHubOptions,
  { commit, files }: RemoteFiles,
): Promise<OpenedHub> {
  const names = [...files.keys()];
  const chosen = chooseFiles(names, wanted, file, repository);
  const begin = performance.now();
  let done = 0;
  let read = 0;
  const bring = async (list: readonly string[], all: readonly string[]): Promise<void> => {
    const total = all.reduce((sum, name) => sum + (files.get(name)?.size ?? 0), 0);
    for (const name of list) {
      const found = files.get(name);
      if (found === undefined) continue;
      checkRelative(name, `${repository}: the file`);
      await downloadFile(client, found, cache.blobs, (bytes, fromHub) => {
        done += bytes;
        if (fromHub) read += bytes;
        const bytesPerSecond = (1000 * read) / Math.max(performance.now() - begin, 1);
        const secondsLeft = bytesPerSecond > 0 ? (total - done) / bytesPerSecond : Infinity;
        onDownload?.({ file: name, done, total, bytesPerSecond, secondsLeft: done === total ? 0 : secondsLeft });
      });
      await cache.link(commit, name, found.digest);
    }
  };
  let all = [...new Set(chosen.files)];
  if (wanted === 'model' && isIndex(chosen.weights)) {
    // Only the index knows which shards there are, and with them the total.
    await bring([chosen.weights], [chosen.weights]);
    const index = await readFile(join(cache.snapshot(commit), chosen.weights), 'utf8');
    all = [...new Set([...all, ...shardsOf(index, chosen.weights, names, repository)])];
    await bring(
      all.filter((name) => name !== chosen.weights),
      all,
    );
  } else {
    await bring(all, all);
  }
  await cache.saveCommit(client.revision, commit);
  return opened(cache, repository, commit, chosen, all, false);
}

/** The last state that the cache has of the revision; `missing` makes the error where it is not enough. */
async function openCached(
  cache: RepositoryCache,
  { revision }: HubClient,
  { repository, file }: HubId,
  { files: wanted = 'model' }: OpenHubOptions,
  missing: (detail: string) => HubError,
): Promise<OpenedHub> {
  const commit = await cache.commitOf(revision);
  const names = commit === undefined ? [] : await cache.names(commit);
  if (commit === undefined || names.length === 0) {
    throw missing(`the cache has no files of ${repository} at revision ${revision} (${cache.folder})`);
  }
  try {
    const chosen = chooseFiles(names, wanted, file, repository);
    let all = chosen.files;
    if (wanted === 'model' && isIndex(chosen.weights)) {
      const index = await readFile(join(cache.snapshot(commit), chosen.weights), 'utf8');
      all = [...all, ...shardsOf(index, chosen.weights, names, repository)];
    }
    return opened(cache, repository, commit, chosen, all, true);
  } catch (error) {
    if (!(error instanceof HubError && error.failure === 'absent')) throw error;
    throw missing(`the cache (${cache.snapshot(commit)}) is not enough: ${error.message}`);
  }
}

function opened(
  cache: RepositoryCache,
  repository: string,
  commit: string,
  { weights }: ChosenFiles,
  files: readonly string[],
  offline: boolean,
): OpenedHub {
  const folder = cache.snapshot(commit);
  const file = weights === undefined ? {} : { file: join(folder, weights) };
  return { repository, commit, folder, ...file, files, offline };
}

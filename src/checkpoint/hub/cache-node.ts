/**
 * One repository in the Hugging Face cache: `blobs/` has contents by their digests, `snapshots/<commit>/` names that link to them,
 * `refs/<revision>` the commit that a branch or tag had. Python's huggingface_hub reads and writes the same.
 */
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { HubError } from '../../errors.ts';
import { checkRelative } from './repository.ts';

const COMMIT = /^[0-9a-f]{40}$/;

export class RepositoryCache {
  readonly folder: string;
  readonly blobs: string;

  constructor(cache: string, repository: string) {
    this.folder = join(cache, `models--${repository.replaceAll('/', '--')}`);
    this.blobs = join(this.folder, 'blobs');
  }

  snapshot(commit: string): string {
    if (!COMMIT.test(commit)) throw new HubError('server', `the hub names the commit ${JSON.stringify(commit)}`);
    return join(this.folder, 'snapshots', commit);
  }

  /** The commit that a revision had when it was last asked for. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (COMMIT.test(revision)) return revision;
    const text = await readFile(join(this.folder, 'refs', revision), 'utf8').catch(() => '');
    return COMMIT.test(text.trim()) ? text.trim() : undefined;
  }

  async saveCommit(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commitOf(revision)) === commit) return;
    checkRelative(revision, 'the revision');
    await this.#write(join(this.folder, 'refs', revision), (at) => writeFile(at, commit));
  }

  /** The names of the files of a snapshot whose contents are there. */
  async names(commit: string): Promise<string[]> {
    const root = this.snapshot(commit);
    const all = await readdir(root, { recursive: true }).catch(() => []);
    const names: string[] = [];
    for (const name of all) {
      const found = await stat(join(root, name)).catch(() => undefined);
      if (found?.isFile()) names.push(name.split(sep).join('/'));
    }
    return names.sort();
  }

  /** Gives the content of `digest` a name in a snapshot: a link, or a copy where the system forbids links. */
  async link(commit: string, name: string, digest: string): Promise<void> {
    checkRelative(name, 'the file');
    const blob = join(this.blobs, digest);
    const pointer = join(this.snapshot(commit), ...name.split('/'));
    const [has, needs] = await Promise.all([stat(pointer).catch(() => undefined), stat(blob)]);
    if (has?.ino === needs.ino && has.dev === needs.dev) return;
    await this.#write(pointer, async (at) => {
      await symlink(relative(dirname(pointer), blob), at).catch(() => copyFile(blob, at));
    });
  }

  /** Makes a file under another name first, so that its own name is never half a file. */
  async #write(file: string, make: (at: string) => Promise<void>): Promise<void> {
    const unfinished = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
    try {
      await mkdir(dirname(file), { recursive: true });
      await make(unfinished);
      await rename(unfinished, file);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw diskError(error, file);
    }
  }
}

/** What the system says of a file that cannot be written, as a HubError. */
export function diskError(error: unknown, file: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const hint = 'what was downloaded is kept; make room, or put the cache elsewhere with HF_HUB_CACHE, and call again';
    return new HubError('disk', `${file}: the disk is full; ${hint}`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EEXIST') {
    const hint = 'HF_HUB_CACHE names another cache';
    return new HubError('disk', `${file}: the cache cannot be written (${code}); ${hint}`, { cause: error });
  }
  return error;
}

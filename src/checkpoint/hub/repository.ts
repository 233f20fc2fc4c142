/** Names of repositories on the Hugging Face hub, and of what is in them. */
import { HubError } from '../../errors.ts';

export interface HubId {
  /** "owner/name", or a name alone for the oldest models (gpt2). */
  readonly repository: string;
  /** A branch, a tag or a commit. */
  readonly revision?: string;
  /** One file of the repository: its weights. */
  readonly file?: string;
}

const PREFIX = 'hf:';
const WORD = '[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?';
const NAME = new RegExp(`^(${WORD}(?:/${WORD})?)(?:@([^:]+))?(?::(.+))?$`);
/** Names that end so are meant as files on disk. */
const FILE = /\.(gguf|safetensors|bin|pt|pth|json|onnx|txt)$/i;

/** Whether `path` must mean the hub, may mean it where there is no such folder, or cannot. */
export function hubMeaning(path: string): 'hub' | 'perhaps' | 'local' {
  if (path.startsWith(PREFIX)) return 'hub';
  const [, repository = '', , file] = NAME.exec(path) ?? [];
  return repository.includes('/') && (file !== undefined || !FILE.test(repository)) ? 'perhaps' : 'local';
}

/** Reads `owner/name`, `owner/name@revision`, `owner/name:file`, each with or without `hf:` before it. */
export function parseHubId(id: string): HubId {
  const [, repository, revision, file] = NAME.exec(id.startsWith(PREFIX) ? id.slice(PREFIX.length) : id) ?? [];
  if (repository === undefined || repository.includes('--') || repository.includes('..')) {
    throw new HubError(
      'argument',
      `${JSON.stringify(id)} is not the id of a repository on the hub; right are owner/name, owner/name@revision and owner/name:file.gguf, with hf: before it where a folder has the same name`,
    );
  }
  if (revision !== undefined) checkRelative(revision, `${id}: the revision`);
  if (file !== undefined) checkRelative(file, `${id}: the file`);
  return { repository, ...(revision === undefined ? {} : { revision }), ...(file === undefined ? {} : { file }) };
}

/** Refuses names that would lead out of the folder they are joined to, on any system. @throws HubError */
export function checkRelative(name: string, what: string): void {
  const parts = name.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || /[\\:\0]/.test(part))) {
    throw new HubError('argument', `${what} ${JSON.stringify(name)} is not a name relative to the repository`);
  }
}

/** The names that are most like the one that was asked for, at most three. */
export function nearestNames(asked: string, names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, distance: editDistance(asked.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(3, Math.min(asked.length, name.length) / 2))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein distance: insertions, deletions and replacements that turn a into b. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

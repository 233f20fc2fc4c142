import { ArgumentError } from '../../errors.ts';
import { type Task, tasks } from './recommendations.ts';

/** The task of that name or alias, whatever its capitals and hyphens. Throws ArgumentError that lists the tasks. */
export function findTask(text: string): Task {
  const wanted = plain(text);
  const found = tasks.find(({ name, aliases }) => [name, ...aliases].some((own) => plain(own) === wanted));
  if (found !== undefined) return found;
  const near = nearest(wanted);
  const hint = near === undefined ? '' : ` Did you mean ${near}?`;
  const shown = text.length > 40 ? `${text.slice(0, 40)}...` : text;
  const known = tasks.map(({ name }) => name).join(', ');
  throw new ArgumentError(`there is no task ${JSON.stringify(shown)}.${hint} Tasks: ${known}.`);
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/** The task whose name or alias needs the fewest edits, if they are at most a third of its letters. */
function nearest(wanted: string): string | undefined {
  let best: { name: string; share: number } | undefined;
  for (const { name, aliases } of tasks) {
    for (const own of [name, ...aliases].map(plain)) {
      const share = edits(wanted.slice(0, 40), own) / own.length;
      if (share <= 1 / 3 && (best === undefined || share < best.share)) best = { name, share };
    }
  }
  return best?.name;
}

/** Levenshtein distance. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, character] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      next.push(Math.min((row[j] ?? 0) + (character === other ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** A lock between processes, as a file that says who holds it. */
import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskError } from './cache-node.ts';

/** Milliseconds between the signs of life of a holder, and without one until another machine's lock counts as left behind. */
const BEAT = 5_000;
const LEFT = 60_000;
const POLL = 100;

/**
 * Waits until nobody holds `file`, and holds it until the result is called. A lock whose process has died is taken over. Two holders at
 * once, which a takeover in the same moment could make, would write the same bytes to the same places: what is locked is a download of
 * content that its name determines.
 */
export async function holdLock(file: string, signal: AbortSignal | undefined): Promise<() => Promise<void>> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      const handle = await open(file, 'wx');
      await handle.writeFile(JSON.stringify({ pid: process.pid, host: hostname() }));
      await handle.close();
      break;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw diskError(error, file);
    }
    if (await isLeft(file)) {
      const aside = `${file}.${process.pid}`;
      await rename(file, aside).catch(() => undefined);
      await rm(aside, { force: true });
    } else {
      await sleep(POLL);
    }
  }
  const beat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, BEAT);
  beat.unref();
  return async () => {
    clearInterval(beat);
    await rm(file, { force: true });
  };
}

async function isLeft(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return false;
  if (Date.now() - found.mtimeMs > LEFT) return true;
  try {
    const { pid, host } = JSON.parse(await readFile(file, 'utf8')) as { pid: number; host: string };
    if (host !== hostname()) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    // A file that is being written is not JSON yet.
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FarfieldError } from '../../errors.ts';
import type { ContenderName } from './contenders.ts';
import type { Problem } from './problem.ts';

/**
 * The peak resident memory, in bytes, of a process that does nothing but this: loads Node and the contender, makes the
 * inputs, and runs twice. Node itself is about 50 MB of it.
 */
export function measurePeakMemory(name: ContenderName, problem: Problem, signal: AbortSignal): Promise<number> {
  return peakOfProcess('./peak-memory-process', [name, JSON.stringify(problem)], signal);
}

/** What a program of this folder, named without its extension, prints of itself; its first argument is what errors call it. */
export function peakOfProcess(program: string, args: readonly string[], signal: AbortSignal): Promise<number> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const file = fileURLToPath(new URL(`${program}.${extension}`, import.meta.url));
  const [name] = args;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [file, ...args], { signal }, (error, stdout, stderr) => {
      if (signal.aborted) reject(signal.reason);
      else if (error === null) resolve(Number(stdout));
      else if (stderr === '') reject(new FarfieldError(`${name}: the process that measures its memory was killed`));
      else reject(new FarfieldError(`${name}: its process failed: ${stderr.trim()}`));
    });
  });
}

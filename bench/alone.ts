import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FarfieldError } from '../src/errors.ts';

/** Runs a program of this folder in a process of its own, with a job as its argument, and gives the JSON that it prints last. */
export function runAlone<Result>(program: URL, job: object, signal: AbortSignal): Promise<Result> {
  const file = fileURLToPath(program);
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [file, JSON.stringify(job)], { signal }, (error, stdout, stderr) => {
      if (signal.aborted) reject(signal.reason);
      else if (error === null) resolve(JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result);
      else reject(new FarfieldError(`${file} failed: ${stderr.trim() || error.message}`));
    });
  });
}

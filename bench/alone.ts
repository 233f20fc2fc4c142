import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FarfieldError } from '../src/errors.ts';

/** Runs a program of this folder in a process of its own: gives it a job as JSON, and takes the JSON that it prints last. */
export function runAlone<Result>(program: URL, job: object, signal: AbortSignal): Promise<Result> {
  const file = fileURLToPath(program);
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [file], { signal }, (error, stdout, stderr) => {
      if (signal.aborted) reject(signal.reason);
      else if (error === null) resolve(JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result);
      else reject(new FarfieldError(`${file} failed: ${stderr.trim() || error.message}`));
    });
    // A program that dies before it has read its job is reported above.
    child.stdin?.on('error', () => {});
    child.stdin?.end(JSON.stringify(job));
  });
}

/** In such a program: the job. */
export function readJob<Job>(): Job {
  return JSON.parse(readFileSync(0, 'utf8')) as Job;
}

/** In such a program: prints the result and ends the process, threads and all. */
export function finish(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

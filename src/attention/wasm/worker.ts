/**
 * One worker of the pool, in Node and in browsers: waits for a job's number in shared memory, takes its tasks, reports.
 * The words it shares with the pool are listed in control.ts.
 */
import { CONTROL_WORDS, EPOCH, JOB, PENDING, WAITING, type WorkerSetup } from './control.ts';

interface Port {
  postMessage(message: unknown): void;
}

function serve(setup: WorkerSetup, port: Port): void {
  const { module, memory, control, scratch } = setup;
  const abort = () => {
    throw new Error('the kernel aborted');
  };
  const { exports } = new WebAssembly.Instance(module, { env: { memory, abort } });
  const work = exports.work as (job: number, scratch: number, most: number) => number;
  const words = new Int32Array(memory.buffer, control, CONTROL_WORDS);
  let epoch = Atomics.load(words, EPOCH);
  port.postMessage('ready');
  for (;;) {
    Atomics.wait(words, EPOCH, epoch);
    epoch = Atomics.load(words, EPOCH);
    const job = Atomics.load(words, JOB);
    if (job === 0) return;
    work(job, Atomics.load(words, scratch), 0x7fffffff);
    if (Atomics.sub(words, PENDING, 1) === 1 && Atomics.load(words, WAITING) === 1) port.postMessage('done');
  }
}

const threads = (globalThis as { process?: NodeJS.Process }).process?.getBuiltinModule?.('node:worker_threads');
if (threads?.parentPort) serve(threads.workerData as WorkerSetup, threads.parentPort);
else addEventListener('message', (event: MessageEvent<WorkerSetup>) => serve(event.data, globalThis), { once: true });

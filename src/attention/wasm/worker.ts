/**
 * One worker of the pool, in Node and in browsers: waits for a job's number in shared memory, takes its tasks, reports.
 * The words it shares with the pool are listed in control.ts.
 */
import {
  CONTROL_WORDS,
  EPOCH,
  INSTANCE,
  JOB,
  LISTEN,
  type LinkMessage,
  PENDING,
  WAITING,
  type WorkerSetup,
} from './control.ts';
import { instantiate } from './kernel-instance.ts';

interface Port {
  postMessage(message: unknown): void;
}

/** Starts to serve; what it returns takes the messages that arrive later. */
function serve(setup: WorkerSetup, port: Port): (message: LinkMessage) => void {
  const { module, memory, control, scratch } = setup;
  const plain = instantiate(module, memory);
  const kernels = [plain];
  const words = new Int32Array(memory.buffer, control, CONTROL_WORDS);
  let epoch = Atomics.load(words, EPOCH);
  const takeJobs = () => {
    port.postMessage('ready');
    for (;;) {
      Atomics.wait(words, EPOCH, epoch);
      const now = Atomics.load(words, EPOCH);
      // The pool changes the number and then notifies: where it is held up in between, the notification meets a worker that has done that job.
      if (now === epoch) continue;
      epoch = now;
      const job = Atomics.load(words, JOB);
      if (job === 0 || job === LISTEN) return;
      const { work } = kernels[Atomics.load(words, INSTANCE)];
      // Until no task is left: passes wait for each other.
      while (work(job, Atomics.load(words, scratch), 0x7fffffff) !== 0);
      if (Atomics.sub(words, PENDING, 1) === 1 && Atomics.load(words, WAITING) === 1) port.postMessage('done');
    }
  };
  takeJobs();
  return ({ score }) => {
    kernels.push(instantiate(module, memory, { module: score, plain }));
    takeJobs();
  };
}

const threads = (globalThis as { process?: NodeJS.Process }).process?.getBuiltinModule?.('node:worker_threads');
if (threads?.parentPort) threads.parentPort.on('message', serve(threads.workerData as WorkerSetup, threads.parentPort));
else {
  let onMessage: ((message: LinkMessage) => void) | undefined;
  addEventListener('message', ({ data }: MessageEvent) => {
    if (onMessage) onMessage(data);
    else onMessage = serve(data, globalThis);
  });
}

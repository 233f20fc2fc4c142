import { DeviceError } from '../../errors.ts';
import { CONTROL_WORDS, EPOCH, INSTANCE, JOB, LISTEN, type LinkMessage, PENDING, SCRATCH, WAITING } from './control.ts';
import type { Heap } from './heap.ts';
import { CANCELLED_WORD } from './job.ts';
import { instantiate, type Kernel, WAITS, type Work } from './kernel-instance.ts';
import type { Platform, PoolWorker } from './platform.ts';

/** The caller looks at the counter for this long before it waits for a message, which takes longer to arrive. */
const SPIN_MILLISECONDS = 0.1;
/** While it computes, the calling thread lets other events run at least this often. */
const SLICE_MILLISECONDS = 12;

/**
 * The threads that run a job: workers that wait in shared memory, and the calling thread itself where it may compute.
 * A job is an address in shared memory (see job.ts); jobs run one after the other.
 */
export class Pool {
  readonly threads: number;
  readonly #heap: Heap;
  readonly #control: Int32Array;
  readonly #workers: PoolWorker[];
  readonly #module: WebAssembly.Module;
  /** In the calling thread: the plain kernel, and those that were linked. */
  readonly #kernels: [Kernel, ...Kernel[]] | undefined;
  readonly #adopted: (() => void)[] = [];
  #linked = 0;
  #scratchBytes = 0;
  #queue: Promise<void> = Promise.resolve();
  #failure: DeviceError | undefined;
  #wake: { resolve: () => void; reject: (error: Error) => void } | undefined;

  private constructor(
    heap: Heap,
    control: number,
    module: WebAssembly.Module,
    workers: PoolWorker[],
    kernel: Kernel | undefined,
  ) {
    this.#heap = heap;
    this.#control = new Int32Array(heap.memory.buffer, control, CONTROL_WORDS);
    this.#workers = workers;
    this.#module = module;
    this.#kernels = kernel && [kernel];
    this.threads = workers.length + (kernel ? 1 : 0);
  }

  /** Starts `threads` threads in all; fewer where the platform has no workers. Resolves when every worker is ready. */
  static async start(platform: Platform, heap: Heap, module: WebAssembly.Module, threads: number): Promise<Pool> {
    const control = heap.allocate(4 * CONTROL_WORDS);
    heap.words(control, CONTROL_WORDS).fill(0);
    const callerWorks = platform.callerWorks || !platform.workers;
    const count = platform.workers ? Math.min(threads, CONTROL_WORDS - SCRATCH) - (callerWorks ? 1 : 0) : 0;
    const kernel = callerWorks ? instantiate(module, heap.memory) : undefined;
    const workers: PoolWorker[] = [];
    for (let i = 0; i < count; i++) {
      const scratch = SCRATCH + i + (kernel ? 1 : 0);
      workers.push(platform.startWorker({ module, memory: heap.memory, control, scratch }));
    }
    const pool = new Pool(heap, control, module, workers, kernel);
    try {
      await Promise.all(workers.map((worker, i) => pool.#adopt(worker, i)));
    } catch (error) {
      await pool.dispose();
      throw error;
    }
    return pool;
  }

  /**
   * Resolves when all tasks of the job are done. Rejects with a DeviceError if a worker dies, or with the signal's reason.
   * `instance` is what link() returned, 0 for the plain kernel.
   */
  run(job: number, scratchBytes: number, signal?: AbortSignal, instance = 0): Promise<void> {
    return this.#afterOthers(() => this.#run(job, scratchBytes, signal, instance));
  }

  /** Links the kernel with the module of a score expression, in every thread. Resolves with its number for run(). */
  link(score: WebAssembly.Module): Promise<number> {
    return this.#afterOthers(() => this.#link(score));
  }

  /** Ends the workers; a job under way is rejected. */
  async dispose(): Promise<void> {
    this.#fail(new DeviceError('the device was disposed'));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #adopt(worker: PoolWorker, index: number): Promise<void> {
    return new Promise((resolve, reject) => {
      worker.onMessage((message) => {
        if (message === 'ready') {
          worker.hold(false);
          resolve();
          this.#adopted.shift()?.();
        } else if (message === 'done' && Atomics.load(this.#control, PENDING) === 0) this.#wake?.resolve();
      });
      worker.onEnd((reason) => {
        const error = new DeviceError(`worker ${index} of the attention device failed: ${reason.message}`, {
          cause: reason,
        });
        this.#fail(error);
        reject(error);
      });
    });
  }

  #fail(error: DeviceError): void {
    this.#failure ??= error;
    this.#wake?.reject(this.#failure);
  }

  #afterOthers<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(act);
    this.#queue = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  async #link(score: WebAssembly.Module): Promise<number> {
    if (this.#failure) throw this.#failure;
    if (this.#kernels) {
      const [plain] = this.#kernels;
      const kernel = instantiate(this.#module, this.#heap.memory, { module: score, plain });
      this.#kernels.push(kernel);
    }
    const control = this.#control;
    Atomics.store(control, JOB, LISTEN);
    Atomics.add(control, EPOCH, 1);
    Atomics.notify(control, EPOCH);
    const message: LinkMessage = { score };
    for (const worker of this.#workers) {
      worker.hold(true);
      worker.send(message);
    }
    await new Promise<void>((resolve, reject) => {
      let left = this.#workers.length;
      if (left === 0) resolve();
      this.#wake = { resolve, reject };
      this.#adopted.push(
        ...this.#workers.map(() => () => {
          if (--left === 0) resolve();
        }),
      );
    }).finally(() => {
      this.#wake = undefined;
    });
    return ++this.#linked;
  }

  async #run(job: number, scratchBytes: number, signal: AbortSignal | undefined, instance: number): Promise<void> {
    if (this.#failure) throw this.#failure;
    signal?.throwIfAborted();
    this.#provideScratch(scratchBytes);
    const control = this.#control;
    Atomics.store(control, JOB, job);
    Atomics.store(control, INSTANCE, instance);
    Atomics.store(control, WAITING, 0);
    Atomics.store(control, PENDING, this.#workers.length);
    Atomics.add(control, EPOCH, 1);
    Atomics.notify(control, EPOCH);
    const cancelled = new Int32Array(this.#heap.memory.buffer, job + 4 * CANCELLED_WORD, 1);
    const cancel = () => Atomics.store(cancelled, 0, 1);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      if (this.#kernels) await this.#takePart(this.#kernels[instance].work, job);
      await this.#othersDone();
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
    signal?.throwIfAborted();
  }

  async #takePart(work: Work, job: number): Promise<void> {
    const scratch = this.#control[SCRATCH];
    let most = 1;
    let sliceEnd = performance.now() + SLICE_MILLISECONDS;
    for (;;) {
      const before = performance.now();
      const found = this.#takeTasks(work, job, scratch, most);
      if (found === 0) return;
      const now = performance.now();
      if (found !== WAITS && now - before < SLICE_MILLISECONDS / 4) most *= 2;
      if (now > sliceEnd) {
        await nextEvent();
        if (this.#failure) throw this.#failure;
        sliceEnd = performance.now() + SLICE_MILLISECONDS;
      }
    }
  }

  /** A trap in the kernel leaves the job half done, whichever thread it happens in: the device has failed. */
  #takeTasks(work: Work, job: number, scratch: number, most: number): number {
    try {
      return work(job, scratch, most);
    } catch (cause) {
      this.#fail(new DeviceError(`the attention kernel failed: ${cause}`, { cause }));
      throw this.#failure;
    }
  }

  async #othersDone(): Promise<void> {
    const control = this.#control;
    const until = performance.now() + SPIN_MILLISECONDS;
    do {
      if (Atomics.load(control, PENDING) === 0) return;
    } while (this.#kernels && performance.now() < until);
    if (this.#failure) throw this.#failure;
    // Before the counter is looked at again, so that a last worker that still sees 0 here is seen there.
    Atomics.store(control, WAITING, 1);
    if (Atomics.load(control, PENDING) === 0) return;
    for (const worker of this.#workers) worker.hold(true);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#wake = { resolve, reject };
      });
    } finally {
      this.#wake = undefined;
      for (const worker of this.#workers) worker.hold(false);
    }
  }

  /** One piece of scratch for each thread; pieces only grow. */
  #provideScratch(bytes: number): void {
    if (bytes <= this.#scratchBytes) return;
    for (let i = 0; i < this.threads; i++) {
      const old = this.#control[SCRATCH + i] >>> 0;
      if (old !== 0) this.#heap.free(old);
      Atomics.store(this.#control, SCRATCH + i, this.#heap.allocate(bytes));
    }
    this.#scratchBytes = bytes;
  }
}

/** Lets timers, signals and messages in. */
function nextEvent(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

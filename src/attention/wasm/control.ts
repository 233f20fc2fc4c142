/** The words that the pool and its workers share, as indices into an Int32Array of CONTROL_WORDS. */

/** Number of the current job; a change wakes the workers. */
export const EPOCH = 0;
/** Address of the current job, or one of the orders below; 0 ends the workers. */
export const JOB = 1;
/** Workers that have not finished the current job. */
export const PENDING = 2;
/** 1 while the pool waits for a message instead of looking at PENDING. */
export const WAITING = 3;
/** Which instance of the kernel computes the current job: 0 the plain one, then those that were linked, in their order. */
export const INSTANCE = 4;
/** Address of the scratch of each thread follows, from this word on: SCRATCH + thread. */
export const SCRATCH = 5;
/** Words shared in all; the greatest number of threads follows from it. */
export const CONTROL_WORDS = 132;

/** In the place of a job: the worker returns to its events, where it is given a module to link with the kernel. */
export const LISTEN = 1;

/** A message to a worker: instantiate the kernel again, linked with this module. It answers 'ready'. */
export interface LinkMessage {
  readonly score: WebAssembly.Module;
}

export interface WorkerSetup {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Address of the control words. */
  readonly control: number;
  /** Index of this worker's scratch word. */
  readonly scratch: number;
}

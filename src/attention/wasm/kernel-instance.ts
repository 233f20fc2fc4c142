import { DeviceError } from '../../errors.ts';

/** Takes at most `most` tasks of a job; 0 when none is left, WAITS when those that are left wait for other threads. */
export type Work = (job: number, scratch: number, most: number) => number;

/** As kernel/index.ts returns it. */
export const WAITS = 2;

/** The kernel in one thread: plain, or linked with the module of a score expression. */
export interface Kernel {
  readonly work: Work;
  readonly exports: WebAssembly.Exports;
}

/**
 * Instantiates the kernel. `score` is a module made by compileScore(); it borrows the functions of `plain`, an instance without
 * one, and the kernel then calls its functions.
 */
export function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  score?: { readonly module: WebAssembly.Module; readonly plain: Kernel },
): Kernel {
  const abort = () => {
    throw new DeviceError('the kernel aborted');
  };
  const unlinked = () => {
    throw new DeviceError('the plain kernel was given a score modifier');
  };
  const modifier = score
    ? new WebAssembly.Instance(score.module, { env: { memory }, kernel: score.plain.exports }).exports
    : { modify: unlinked, differentiate: unlinked };
  const { exports } = new WebAssembly.Instance(module, { env: { memory, abort }, modifier });
  return { work: exports.work as Work, exports };
}

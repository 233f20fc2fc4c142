import { exitCode } from './exit-code.ts';

/** The reason of a command's abort signal when a person or the system stopped it. */
export class Interrupted extends Error {
  override name = 'Interrupted';
  readonly exitCode: number;
  constructor(signalName: 'SIGINT' | 'SIGTERM') {
    super(signalName === 'SIGINT' ? 'interrupted' : 'terminated');
    this.exitCode = signalName === 'SIGINT' ? exitCode.interrupted : exitCode.terminated;
  }
}

/** How long a command may take to stop before that is said, in milliseconds. */
const PATIENCE = 500;

/**
 * Turns the first SIGINT (Ctrl-C) or SIGTERM into an abort, so that the command can end cleanly; the second one meets
 * the system's own handling and kills the process.
 */
export class InterruptWatch implements Disposable {
  readonly #controller = new AbortController();
  #slowStop: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    process.on('SIGINT', this.#stop);
    process.on('SIGTERM', this.#stop);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Called once where the command has not ended half a second after the first signal. */
  onSlowStop(callback: () => void): void {
    this.#slowStop = callback;
  }

  [Symbol.dispose](): void {
    this.#unhook();
    clearTimeout(this.#timer);
  }

  readonly #stop = (signalName: 'SIGINT' | 'SIGTERM'): void => {
    this.#unhook();
    this.#timer = setTimeout(this.#slowStop, PATIENCE);
    this.#controller.abort(new Interrupted(signalName));
  };

  #unhook(): void {
    process.off('SIGINT', this.#stop);
    process.off('SIGTERM', this.#stop);
  }
}

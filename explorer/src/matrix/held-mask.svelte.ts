import { CancelledError, type Engine } from '../engine/engine.ts';
import type { Compiled, Subject } from '../engine/questions.ts';
import { messageOf } from '../state/page.svelte.ts';

/** After this long the page says that it is at work. */
const SLOW = 700;

/**
 * The mask that the engine holds. While one is compiled, only the last of those asked for meanwhile is compiled next, so that
 * a slider does not queue work. What fails leaves the mask before, and says why in `trouble`.
 */
export class HeldMask {
  readonly #engine: Engine;
  /** What is drawn; undefined before the first. */
  subject: Subject | undefined = $state.raw();
  compiled: Compiled | undefined = $state.raw();
  /** Counts masks, so that what depends on one can be asked for again. */
  generation = $state(0);
  isBusy = $state(false);
  isSlow = $state(false);
  trouble = $state('');
  #next: Subject | undefined;
  #isRunning = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async compile(subject: Subject): Promise<void> {
    this.#next = subject;
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.isBusy = true;
    const slow = setTimeout(() => {
      this.isSlow = true;
    }, SLOW);
    while (this.#next !== undefined) {
      const own: Subject = this.#next;
      this.#next = undefined;
      try {
        const compiled = await this.#engine.ask({ kind: 'compile', ...own });
        this.subject = own;
        this.compiled = compiled;
        this.trouble = '';
        this.generation++;
      } catch (error) {
        if (!(error instanceof CancelledError)) this.trouble = messageOf(error);
      }
    }
    clearTimeout(slow);
    this.#isRunning = false;
    this.isBusy = false;
    this.isSlow = false;
  }

  /** Gives up what is being compiled, and takes up the mask before. */
  async cancel(): Promise<void> {
    this.#next = undefined;
    this.#engine.cancel();
    this.trouble = 'Cancelled.';
    const before = this.subject;
    if (before === undefined) return;
    try {
      await this.#engine.ask({ kind: 'compile', ...before });
      this.generation++;
    } catch (error) {
      this.trouble = messageOf(error);
    }
  }
}

/** Steps and tokens per second, and memory, as a training reports them. */

/** The speed is taken over about this many seconds, so that it follows a change. */
const WINDOW = 10;

/** Counts the time of steps; what lies between them (saves, evaluations) is left out. */
export class Speed {
  #steps: { readonly seconds: number; readonly tokens: number }[] = [];
  #seconds = 0;
  #tokens = 0;

  add(seconds: number, tokens: number): void {
    this.#steps.push({ seconds, tokens });
    this.#seconds += seconds;
    this.#tokens += tokens;
    for (let first = this.#steps[0]; this.#steps.length > 1 && this.#seconds - first.seconds > WINDOW; ) {
      this.#steps.shift();
      this.#seconds -= first.seconds;
      this.#tokens -= first.tokens;
      first = this.#steps[0];
    }
  }

  get tokensPerSecond(): number {
    return this.#seconds > 0 ? this.#tokens / this.#seconds : 0;
  }

  get secondsPerStep(): number {
    return this.#steps.length > 0 ? this.#seconds / this.#steps.length : 0;
  }
}

/** Memory that this process holds now, in bytes. Undefined where the platform does not tell (browsers). */
export function residentBytes(): number | undefined {
  if (typeof process === 'undefined' || typeof process.memoryUsage?.rss !== 'function') return undefined;
  return process.memoryUsage.rss();
}

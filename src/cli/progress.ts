import { formatCount, formatDuration, formatRate } from './format.ts';

/** Where a progress line is drawn. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** What is being done, for example "reading". */
  readonly label: string;
  /** The whole amount of work, in units. Without it only the amount and the rate are shown. */
  readonly total?: number;
  /** What is counted, in the plural: "tokens". */
  readonly unit: string;
  /** Milliseconds, from any fixed start. Default performance.now. */
  readonly now?: () => number;
}

/** Nothing is drawn for work that ends before this, in milliseconds. */
const PATIENCE = 1000;
const REDRAW = 100;
/** The rate is taken over about this many milliseconds, so that it follows a change of speed. */
const RATE_WINDOW = 5000;
const CLEAR_LINE = '\r\u001b[2K';

/** One line on a terminal with the amount, the rate and the time left. Draws nothing where there is no terminal. */
export class Progress implements Disposable {
  readonly #stream: ProgressStream;
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #start: number;
  #samples: { time: number; done: number }[];
  #drawn = -Infinity;
  #visible = false;

  constructor(stream: ProgressStream, options: ProgressOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#start = this.#now();
    this.#samples = [{ time: this.#start, done: 0 }];
  }

  /** `done` units of the total are finished. */
  update(done: number): void {
    if (this.#stream.isTTY !== true) return;
    const time = this.#now();
    if (time - this.#drawn < REDRAW || time - this.#start < PATIENCE) return;
    this.#samples.push({ time, done });
    while (this.#samples.length > 2 && time - (this.#samples[1]?.time ?? time) > RATE_WINDOW) this.#samples.shift();
    this.#drawn = time;
    this.#visible = true;
    const columns = this.#stream.columns || 80;
    this.#stream.write(CLEAR_LINE + this.#line(time, done).slice(0, Math.max(columns - 1, 0)));
  }

  /** Takes the line away, so that something else can be printed; the next update draws it again. */
  clear(): void {
    if (this.#visible) this.#stream.write(CLEAR_LINE);
    this.#visible = false;
    this.#drawn = -Infinity;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #line(time: number, done: number): string {
    const { label, total, unit } = this.#options;
    const first = this.#samples[0] ?? { time: this.#start, done: 0 };
    const rate = time > first.time ? ((done - first.done) * 1000) / (time - first.time) : 0;
    const speed = rate > 0 ? `  ${formatRate(rate)} ${unit}/s` : '';
    if (total === undefined) return `${label}  ${formatCount(done)} ${unit}${speed}`;
    const percent = total > 0 ? Math.floor((100 * done) / total) : 100;
    const left = rate > 0 ? `  ${formatDuration(((total - done) / rate) * 1000)} left` : '';
    return `${label}  ${percent}%  ${formatCount(done)} of ${formatCount(total)} ${unit}${speed}${left}`;
  }
}

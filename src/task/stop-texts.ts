/** Ends a stream of text where one of several texts appears in it, even across pieces. */
export class StopTexts {
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** The text that can be given out now, and whether a stop was found: it and what follows are left out. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    const all = this.#held + text;
    const places = this.#stops.map((stop) => all.indexOf(stop)).filter((place) => place >= 0);
    if (places.length > 0) {
      this.#held = '';
      return { text: all.slice(0, Math.min(...places)), stopped: true };
    }
    const open = Math.max(0, ...this.#stops.map((stop) => openEnd(all, stop)));
    this.#held = all.slice(all.length - open);
    return { text: all.slice(0, all.length - open), stopped: false };
  }

  /** What was held back in case a stop began there. */
  flush(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}

/** The length of the longest end of `text` with which `stop` begins. */
function openEnd(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Tokens 0 .. n - 1 that only become more. Adding a range takes time for the tokens in it that are new, and little more. */
export class TokenSet {
  count = 0;
  readonly #length: number;
  /** The first token that may be absent from here on; paths are shortened as they are followed (Tarjan 1975). */
  readonly #next: Uint32Array;

  constructor(length: number) {
    this.#length = length;
    this.#next = Uint32Array.from({ length: length + 1 }, (_, token) => token);
  }

  /** The first token from `token` on that is not here; n where there is none. */
  firstAbsent(token: number): number {
    const next = this.#next;
    let at = token;
    while (next[at] !== at) {
      next[at] = next[next[at]];
      at = next[at];
    }
    return at;
  }

  /** Adds the tokens [start, end). */
  add(start: number, end: number): void {
    const stop = Math.min(end, this.#length);
    for (let token = this.firstAbsent(start); token < stop; token = this.firstAbsent(token)) {
      this.#next[token] = token + 1;
      this.count++;
    }
  }

  /** The tokens as ascending ranges that do not touch; those of `without`, such ranges too, left out. */
  ranges(without: readonly Range[] = []): Range[] {
    const found: Range[] = [];
    let w = 0;
    for (let token = 0; token < this.#length; ) {
      if (w < without.length && token >= without[w].end) w++;
      else if (this.#next[token] === token) token++;
      else if (w < without.length && token >= without[w].start) token = without[w].end;
      else {
        const end = Math.min(this.firstAbsent(token), without[w]?.start ?? this.#length);
        found.push({ start: token, end });
        token = end;
      }
    }
    return found;
  }
}

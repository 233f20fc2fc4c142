/** Which page holds which block of tokens. Pages are numbered from 0; a dropped block's page is used again. */
export class PageTable {
  readonly #pages = new Map<number, number>();
  readonly #free: number[] = [];
  #capacity = 0;

  /** Pages ever needed at once. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Blocks kept now. */
  get size(): number {
    return this.#pages.size;
  }

  /** Gives a page to every block in [first, end) that has none. */
  add(first: number, end: number): void {
    for (let block = first; block < end; block++) {
      if (!this.#pages.has(block)) this.#pages.set(block, this.#free.pop() ?? this.#capacity++);
    }
  }

  /** @throws RangeError for a block that was dropped: the cache let go of keys that the pattern still sees. */
  page(block: number): number {
    const page = this.#pages.get(block);
    if (page === undefined) throw new RangeError(`block ${block} of the KV cache was dropped or never written`);
    return page;
  }

  drop(unseen: (block: number) => boolean): void {
    for (const [block, page] of this.#pages) {
      if (!unseen(block)) continue;
      this.#pages.delete(block);
      this.#free.push(page);
    }
  }
}

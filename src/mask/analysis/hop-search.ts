import { BITMAP_WORDS, BLOCK_SIDE, FULL_BLOCK } from '../block-mask.ts';
import type { BlockGraph } from './block-graph.ts';

/** Most sources of one search: one bit of a word each. */
export const SOURCES = 32;

/** What a search found, for each of its sources. */
export interface Hops {
  /** Tokens that can be reached, the source not counted. */
  readonly reached: Float64Array;
  /** The sum of their distances in edges. */
  readonly sum: Float64Array;
  /** The largest of them. */
  readonly farthest: Uint32Array;
}

/**
 * Breadth-first search from up to 32 sources at once, over the blocks of a graph (Then et al., The More the Merrier:
 * Efficient Multi-Source Graph Traversal, VLDB 2014). A word for each token holds which sources have reached it. A hop takes,
 * for each block with new tokens, one word for a full block and one for each edge of a partial one. A block row works again
 * only in hops in which its tokens are new to some source, so that a search from one token takes time proportional to the
 * kept blocks, however many hops it has.
 */
export class HopSearch {
  readonly nodes: number;
  readonly #graph: BlockGraph;
  /** For each token: the sources that have reached it; that reached it in the last hop; that reach it in this one. */
  readonly #seen: Uint32Array;
  readonly #front: Uint32Array;
  readonly #next: Uint32Array;
  /** For each block: the sources that have reached all of its tokens; that reach all of its tokens in this hop. */
  readonly #seenByAll: Uint32Array;
  readonly #nextForAll: Uint32Array;
  readonly #isTouched: Uint8Array;

  constructor(graph: BlockGraph) {
    const { nodes } = graph;
    this.#graph = graph;
    this.nodes = nodes;
    const blocks = Math.ceil(nodes / BLOCK_SIDE);
    this.#seen = new Uint32Array(nodes);
    this.#front = new Uint32Array(nodes);
    this.#next = new Uint32Array(nodes);
    this.#seenByAll = new Uint32Array(blocks);
    this.#nextForAll = new Uint32Array(blocks);
    this.#isTouched = new Uint8Array(blocks);
  }

  /** Searches from all of `sources` (at most 32), at most `hops` far. `onHop` gets the number of pairs new in each hop. */
  run(sources: readonly number[], hops = Infinity, onHop?: (fresh: number) => void): Hops {
    const result: Hops = {
      reached: new Float64Array(sources.length),
      sum: new Float64Array(sources.length),
      farthest: new Uint32Array(sources.length),
    };
    this.#clear();
    for (const [s, token] of sources.entries()) this.#start(token, s);
    let active = [...new Set(sources.map((token) => Math.floor(token / BLOCK_SIDE)))];
    for (let hop = 1; hop <= hops && active.length > 0; hop++) {
      const touched: number[] = [];
      for (const i of active) this.#spread(i, touched);
      for (const i of active) this.#front.fill(0, i * BLOCK_SIDE, (i + 1) * BLOCK_SIDE);
      let fresh = 0;
      active = [];
      for (const j of touched) {
        const own = this.#collect(j, hop, result);
        if (own > 0) active.push(j);
        fresh += own;
      }
      if (fresh > 0) onHop?.(fresh);
    }
    return result;
  }

  /** One hop from all of `tokens`, as one source: what hasReached() then tells of are they and their neighbours. */
  hopFrom(tokens: readonly number[]): void {
    this.#clear();
    for (const token of tokens) this.#start(token, 0);
    const touched: number[] = [];
    for (const i of new Set(tokens.map((token) => Math.floor(token / BLOCK_SIDE)))) this.#spread(i, touched);
    const one = { reached: new Float64Array(1), sum: new Float64Array(1), farthest: new Uint32Array(1) };
    for (const j of touched) this.#collect(j, 1, one);
  }

  /** Whether source s of the last search has reached the token. */
  hasReached(token: number, s = 0): boolean {
    return (((this.#seen[token] ?? 0) >>> s) & 1) === 1;
  }

  #clear(): void {
    for (const array of [this.#seen, this.#front, this.#next, this.#seenByAll, this.#nextForAll]) array.fill(0);
    this.#isTouched.fill(0);
  }

  #start(token: number, s: number): void {
    this.#seen[token] = (this.#seen[token] ?? 0) | (1 << s);
    this.#front[token] = (this.#front[token] ?? 0) | (1 << s);
  }

  /** Hands what is new in block i on along its edges. */
  #spread(i: number, touched: number[]): void {
    const { nodes, rows, bitmaps } = this.#graph;
    const front = this.#front;
    const next = this.#next;
    const first = i * BLOCK_SIDE;
    const end = Math.min(nodes, first + BLOCK_SIDE);
    let any = 0;
    for (let token = first; token < end; token++) any |= front[token] ?? 0;
    for (let e = rows.rowStart[i] ?? 0; e < (rows.rowStart[i + 1] ?? 0); e++) {
      const j = rows.column[e] ?? 0;
      if ((any & ~(this.#seenByAll[j] ?? 0)) === 0) continue;
      if (this.#isTouched[j] === 0) {
        this.#isTouched[j] = 1;
        touched.push(j);
      }
      const bitmap = rows.bitmap[e] ?? FULL_BLOCK;
      if (bitmap === FULL_BLOCK) {
        this.#nextForAll[j] = (this.#nextForAll[j] ?? 0) | any;
        continue;
      }
      const target = j * BLOCK_SIDE;
      for (let token = first; token < end; token++) {
        const sources = front[token] ?? 0;
        if (sources === 0) continue;
        const word = bitmap * BITMAP_WORDS + (token - first) * 2;
        for (let bits = bitmaps[word] ?? 0; bits !== 0; bits &= bits - 1) {
          const to = target + 31 - Math.clz32(bits & -bits);
          next[to] = (next[to] ?? 0) | sources;
        }
        for (let bits = bitmaps[word + 1] ?? 0; bits !== 0; bits &= bits - 1) {
          const to = target + 63 - Math.clz32(bits & -bits);
          next[to] = (next[to] ?? 0) | sources;
        }
      }
    }
  }

  /** Takes in what reached block j in this hop. Returns how many (source, token) pairs are new. */
  #collect(j: number, hop: number, { reached, sum, farthest }: Hops): number {
    const first = j * BLOCK_SIDE;
    const end = Math.min(this.#graph.nodes, first + BLOCK_SIDE);
    const forAll = this.#nextForAll[j] ?? 0;
    let fresh = 0;
    let byAll = 0xffffffff;
    for (let token = first; token < end; token++) {
      const before = this.#seen[token] ?? 0;
      const added = ((this.#next[token] ?? 0) | forAll) & ~before;
      this.#next[token] = 0;
      this.#front[token] = added;
      this.#seen[token] = before | added;
      byAll &= before | added;
      for (let bits = added; bits !== 0; bits &= bits - 1) {
        const s = 31 - Math.clz32(bits & -bits);
        reached[s] = (reached[s] ?? 0) + 1;
        sum[s] = (sum[s] ?? 0) + hop;
        farthest[s] = hop;
        fresh++;
      }
    }
    this.#seenByAll[j] = byAll;
    this.#nextForAll[j] = 0;
    this.#isTouched[j] = 0;
    return fresh;
  }
}

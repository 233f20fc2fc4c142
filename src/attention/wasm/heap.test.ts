import { describe, expect, it } from 'vitest';
import { MemoryError } from '../../errors.ts';
import { Heap } from './heap.ts';

const PAGE = 65536;
/** Sets of the caches that are thought of: those of 4 KiB a way, and of 64. */
const WAYS = [4096, PAGE];

interface Block {
  readonly address: number;
  readonly bytes: number;
}

/** The same on every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
}

describe('the heap', () => {
  it('gives blocks that do not meet, and takes all back, in any order', () => {
    const next = random(3);
    const heap = new Heap();
    const blocks: Block[] = [];
    for (let i = 0; i < 2000; i++) {
      if (next() < 0.55) {
        const bytes = Math.floor(next() < 0.8 ? next() * 5000 : next() * 3e6);
        const address = heap.allocate(bytes);
        expect(address % 64).toBe(0);
        const meets = (other: Block) => address < other.address + other.bytes && other.address < address + bytes;
        expect(blocks.filter(meets)).toEqual([]);
        blocks.push({ address, bytes });
      } else if (blocks.length > 0) {
        const [block] = blocks.splice(Math.floor(next() * blocks.length), 1);
        heap.free(block?.address ?? -1);
      }
    }
    const size = heap.memory.buffer.byteLength;
    for (const { address } of blocks) heap.free(address);
    expect(heap.used).toBe(0);
    // One piece again: what the memory has, less the constants and the slack, needs no growth.
    heap.allocate(size - 3 * PAGE);
    expect(heap.memory.buffer.byteLength).toBe(size);
  });

  it('begins eight large blocks of equal size, one after the other, so that equal rows of 256 bytes share no set of a cache', () => {
    const heap = new Heap();
    const addresses = Array.from({ length: 8 }, () => heap.allocate(2 ** 23));
    for (const way of WAYS) {
      const places = addresses.map((address) => address % way).sort((a, b) => a - b);
      const apart = places.map((place, i) => (places[i + 1] ?? (places[0] ?? 0) + way) - place);
      expect(Math.min(...apart)).toBeGreaterThanOrEqual(256);
    }
  });

  it('uses freed memory again before it grows', () => {
    const heap = new Heap();
    const first = [2 ** 22, 2 ** 21, 2 ** 22].map((bytes) => heap.allocate(bytes));
    const size = heap.memory.buffer.byteLength;
    for (let i = 0; i < 20; i++) {
      const last = first.pop() ?? -1;
      heap.free(last);
      first.push(heap.allocate(2 ** 22));
      heap.free(first[0] ?? -1);
      first[0] = heap.allocate(2 ** 22);
    }
    expect(heap.memory.buffer.byteLength).toBe(size);
  });

  it('says how much is missing of the 4 GiB', () => {
    expect(() => new Heap().allocate(2 ** 32)).toThrow(MemoryError);
  });
});

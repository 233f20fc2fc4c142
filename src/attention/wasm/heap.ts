import { ArgumentError, MemoryError } from '../../errors.ts';

const PAGE = 65536;
const MAXIMUM_PAGES = 65536;
/** Kernels may read, never use, a few bytes past the end of an array. */
const SLACK = PAGE;
const ALIGNMENT = 64;
/** The kernels' own constants lie below this address. */
const STATIC = 2048;

/**
 * Large blocks begin at places of their own modulo PAGE: rows of equal numbers of several tensors, as a scattered pattern reads them, would
 * else lie in the same few sets of a processor's caches. Of eight tensors, rows of 256 bytes share no set of a cache of 4 KiB a way,
 * nor of one of 64. What it brings is in docs/benchmarks.md.
 */
const LARGE = 4 * PAGE;
const STAGGER = 5376;

interface Gap {
  start: number;
  end: number;
}

/** A WebAssembly.Memory; an object where a project that uses this has no types of WebAssembly. */
type Memory = typeof globalThis extends { WebAssembly: { Memory: { prototype: infer Type } } } ? Type : object;

/** A first-fit allocator over one shared WebAssembly.Memory. Addresses and sizes are in bytes; blocks are 64-byte aligned. */
export class Heap {
  readonly memory: Memory;
  readonly #gaps: Gap[] = [];
  readonly #sizes = new Map<number, number>();
  readonly #buffers = new WeakSet<ArrayBufferLike>();
  #end: number;
  #used = 0;
  /** Large blocks that were made. */
  #large = 0;

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: 16, maximum: MAXIMUM_PAGES, shared: true });
    this.#end = 16 * PAGE;
    this.#gaps.push({ start: STATIC, end: this.#end - SLACK });
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Bytes that can still be allocated in one piece, growth included. */
  get available(): number {
    const last = this.#gaps.at(-1);
    const tail = last && last.end === this.#end - SLACK ? last.end - last.start : 0;
    const largest = Math.max(0, ...this.#gaps.map((gap) => gap.end - gap.start));
    return Math.max(largest, tail + MAXIMUM_PAGES * PAGE - this.#end);
  }

  /** @throws MemoryError when the 4 GiB that WebAssembly can address do not hold it. */
  allocate(bytes: number): number {
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw new ArgumentError(`allocate: bytes must be a non-negative integer, got ${bytes}`);
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const place = size < LARGE ? undefined : (this.#large++ * STAGGER) % PAGE;
    const placed = ({ start }: Gap) => (place === undefined ? start : start + ((place - start) & (PAGE - 1)));
    let index = this.#gaps.findIndex((gap) => gap.end - placed(gap) >= size);
    // What was freed is used again before the memory grows.
    if (index < 0) index = this.#gaps.findIndex(({ start, end }) => end - start >= size);
    if (index < 0) {
      this.#grow(size, place === undefined ? 0 : PAGE);
      index = this.#gaps.length - 1;
    }
    const gap = this.#gaps[index] as Gap;
    const address = gap.end - placed(gap) >= size ? placed(gap) : gap.start;
    if (address > gap.start) this.#gaps.splice(index++, 0, { start: gap.start, end: address });
    gap.start = address + size;
    if (gap.start === gap.end && index < this.#gaps.length - 1) this.#gaps.splice(index, 1);
    this.#sizes.set(address, size);
    this.#used += size;
    return address;
  }

  free(address: number): void {
    const size = this.#sizes.get(address);
    if (size === undefined) throw new ArgumentError(`free: no block starts at address ${address}`);
    this.#sizes.delete(address);
    this.#used -= size;
    const end = address + size;
    let index = this.#gaps.findIndex((gap) => gap.start > address);
    if (index < 0) index = this.#gaps.length;
    const before = this.#gaps[index - 1];
    const after = this.#gaps[index];
    if (before && before.end === address && after && after.start === end) {
      before.end = after.end;
      this.#gaps.splice(index, 1);
    } else if (before && before.end === address) before.end = end;
    else if (after && after.start === end) after.start = address;
    else this.#gaps.splice(index, 0, { start: address, end });
  }

  /** A view of `length` floats; views made before a growth stay valid. */
  floats(address: number, length: number): Float32Array<ArrayBufferLike> {
    return new Float32Array(this.#buffer(), address, length);
  }

  /** A view of numbers of 16 bits. */
  halves(address: number, length: number): Uint16Array<ArrayBufferLike> {
    return new Uint16Array(this.#buffer(), address, length);
  }

  words(address: number, length: number): Uint32Array<ArrayBufferLike> {
    return new Uint32Array(this.#buffer(), address, length);
  }

  /** The address of an array that lies in this memory, or undefined. */
  addressOf(array: ArrayBufferView): number | undefined {
    return this.#buffers.has(array.buffer) ? array.byteOffset : undefined;
  }

  /** `spare` more where there is room for it. */
  #grow(size: number, spare: number): void {
    const last = this.#gaps.at(-1);
    const tail = last && last.end === this.#end - SLACK ? last.end - last.start : 0;
    const least = Math.ceil((size - tail) / PAGE);
    const left = MAXIMUM_PAGES - this.#end / PAGE;
    if (least > left) {
      throw new MemoryError(
        `the kernels' memory holds 4 GiB: ${size} bytes are needed in one piece and ${this.available} are left`,
        size,
        this.available,
      );
    }
    // An eighth of what there is, so that many small growths stay few.
    const pages = Math.min(left, Math.max(least + spare / PAGE, Math.ceil(this.#end / PAGE / 8)));
    this.memory.grow(pages);
    const start = this.#end - SLACK;
    this.#end += pages * PAGE;
    if (last && last.end === start) last.end = this.#end - SLACK;
    else this.#gaps.push({ start, end: this.#end - SLACK });
  }

  /** Engines replace the object that stands for a shared memory when it grows, some a while later; each that was used is ours. */
  #buffer(): ArrayBufferLike {
    const { buffer } = this.memory;
    this.#buffers.add(buffer);
    return buffer;
  }
}

import { counted } from '../counted.ts';
import { ArgumentError } from '../errors.ts';
import { BLOCK_SIDE, compileMask } from '../mask/index.ts';
import { checkPattern, visibleLater } from '../pattern/index.ts';
import type { Pattern } from '../pattern/pattern.ts';
import { PageTable } from './page-table.ts';
import { MAXIMUM_WIDTH, scoreOf } from './problem.ts';
import { checkScore, type ScoreModifier } from './score/index.ts';
import { NUMBER_BYTES, toStorage } from './storage.ts';
import type { NumberType } from './types.ts';
import type { WasmDevice } from './wasm/device.ts';
import type { PlacedMask } from './wasm/job.ts';
import { placeMask } from './wasm/mask-upload.ts';
import { placeModifier } from './wasm/modifier.ts';

/** What one attention layer of a causal model keeps. Shape letters as in types.ts. */
export interface CacheLayer {
  /** Which pairs attend, in absolute positions. Must not let a query see keys after it. */
  readonly pattern: Pattern;
  /** Pairs, disjoint from those of `pattern`, that are scored with `sinkQuery` in the same softmax. Default none. */
  readonly sinkPattern?: Pattern;
  /** H */
  readonly heads: number;
  /** G */
  readonly keyValueHeads: number;
  /** D */
  readonly queryWidth: number;
  /** E */
  readonly valueWidth: number;
}

/** The rows of one layer for the tokens that begin() announced. Arrays made by the device's allocate() are not copied. */
export interface CacheAttention {
  /** [N, H*D] */
  readonly q: Float32Array;
  /** [N, G*D] */
  readonly k: Float32Array;
  /** [N, G*E] */
  readonly v: Float32Array;
  /** [N, H*D]; needed where the layer has a sinkPattern. */
  readonly sinkQuery?: Float32Array;
  /** [N, H*E], written. */
  readonly output: Float32Array;
  /** Default 1 / sqrt(D). */
  readonly scale?: number;
  readonly softcap?: number;
  /** As in attention(): q and k are absolute positions, row is the row among those that begin() announced. */
  readonly score?: ScoreModifier;
  /** [H] */
  readonly sinkLogits?: Float32Array;
  readonly signal?: AbortSignal;
}

export interface CacheOptions {
  /**
   * How keys and values are kept: f16 and bf16 take half the memory. They are rounded when they come in, to 11 bits (f16, which
   * ends at 65,504) or 8 (bf16, which has the range of f32). Default 'f32'.
   */
  readonly storage?: NumberType;
}

interface Layer {
  readonly settings: CacheLayer;
  readonly group: Group;
  /** Addresses of the pages: keys [page, T, G*D] and values [page, T, G*E]. */
  keys: number;
  values: number;
  pages: number;
}

/** Layers with the same patterns keep the same positions, so they share the page table and the masks. */
interface Group {
  readonly pattern: Pattern;
  readonly sinkPattern: Pattern | undefined;
  readonly heads: number;
  readonly table: PageTable;
  mask?: PlacedMask & { address: number };
  sinkMask?: PlacedMask & { address: number };
}

/**
 * Keys and values of the tokens read so far, in pages of T tokens (PagedAttention, Kwon et al. 2023, section 4.1), of which
 * only those stay that a later query can still see under the layer's pattern. So a stream of any length under a bounded pattern
 * takes constant memory. Prefill, chunked prefill and decoding are the same calls with different N:
 * begin(N), attend() once for each layer, end().
 */
export class KeyValueCache {
  /** How keys and values are kept. */
  readonly storage: NumberType;
  readonly #device: WasmDevice;
  readonly #layers: Layer[];
  readonly #groups: Group[];
  #length = 0;
  #rows = 0;

  constructor(device: WasmDevice, layers: readonly CacheLayer[], { storage = 'f32' }: CacheOptions = {}) {
    if (!(storage in NUMBER_BYTES))
      throw new ArgumentError(`KeyValueCache: storage must be 'f32', 'f16' or 'bf16', got '${storage}'`);
    this.#device = device;
    this.storage = storage;
    const groups = new Map<string, Group>();
    this.#layers = layers.map((settings) => {
      const { pattern, sinkPattern, heads, queryWidth, valueWidth } = settings;
      if (Math.max(queryWidth, valueWidth) > MAXIMUM_WIDTH)
        throw new ArgumentError(
          `KeyValueCache: heads are ${queryWidth} and ${valueWidth} wide, at most ${MAXIMUM_WIDTH} is possible`,
        );
      for (const own of [pattern, ...(sinkPattern ? [sinkPattern] : [])]) checkLayerPattern(own);
      const key = JSON.stringify([pattern, sinkPattern ?? null, heads]);
      let group = groups.get(key);
      if (!group) {
        group = { pattern, sinkPattern, heads, table: new PageTable() };
        groups.set(key, group);
      }
      return { settings, group, keys: 0, values: 0, pages: 0 };
    });
    this.#groups = [...groups.values()];
  }

  /** Tokens read so far, kept or not: the absolute position of the next one. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that keys and values take now. */
  get bytes(): number {
    return this.#layers.reduce(
      (sum, { settings, pages }) => sum + pages * (this.#pageBytes(settings, 'k') + this.#pageBytes(settings, 'v')),
      0,
    );
  }

  /** Makes room for `rows` more tokens and compiles their masks. @throws MemoryError */
  begin(rows: number): void {
    if (!Number.isSafeInteger(rows) || rows < 1)
      throw new ArgumentError(`begin: rows must be a positive integer, got ${rows}`);
    if (this.#rows !== 0) throw new ArgumentError('begin: end() the tokens begun before');
    const from = this.#length;
    const heap = this.#device.heap;
    for (const group of this.#groups) {
      group.table.add(Math.floor(from / BLOCK_SIDE), Math.ceil((from + rows) / BLOCK_SIDE));
      const size = { queries: rows, keys: from + rows, heads: group.heads, length: Infinity };
      const page = (block: number) => group.table.page(block);
      group.mask = placeMask(heap, compileMask(group.pattern, size), page);
      if (group.sinkPattern) group.sinkMask = placeMask(heap, compileMask(group.sinkPattern, size), page);
    }
    for (const layer of this.#layers) this.#provide(layer);
    this.#rows = rows;
  }

  /** Adds this layer's keys and values and computes its attention over all that its pattern allows. */
  async attend(index: number, attention: CacheAttention): Promise<void> {
    const layer = this.#layers[index];
    if (!layer) throw new ArgumentError(`attend: layer ${index} of ${this.#layers.length}`);
    const { heads, keyValueHeads, queryWidth, valueWidth } = layer.settings;
    const rows = this.#rows;
    if (rows === 0) throw new ArgumentError('attend: call begin() first');
    check('q', attention.q, rows, heads * queryWidth);
    check('k', attention.k, rows, keyValueHeads * queryWidth);
    check('v', attention.v, rows, keyValueHeads * valueWidth);
    check('output', attention.output, rows, heads * valueWidth);
    if (attention.score)
      checkScore(attention.score, {
        batch: 1,
        heads,
        queries: rows,
        keys: this.#length + rows,
        queryOffset: this.#length,
      });
    const { softcap, score } = scoreOf(attention);
    const instance = score && (await this.#device.instance(score.expression));
    this.#append(layer, attention.k, layer.keys, keyValueHeads * queryWidth);
    this.#append(layer, attention.v, layer.values, keyValueHeads * valueWidth);
    const { mask, sinkMask } = layer.group;
    if (!mask) throw new ArgumentError('attend: call begin() first');
    const heap = this.#device.heap;
    const borrowed: number[] = [];
    const borrow = (length: number) => {
      const address = heap.allocate(4 * length);
      borrowed.push(address);
      return address;
    };
    const put = (array: Float32Array) => {
      const known = heap.addressOf(array);
      if (known !== undefined) return known;
      const address = borrow(array.length);
      heap.floats(address, array.length).set(array);
      return address;
    };
    const words = (values: readonly number[]) => {
      const address = borrow(values.length);
      heap.words(address, values.length).set(values);
      return address;
    };
    try {
      const place = (address: number, width: number, count: number, type: NumberType = 'f32') => ({
        address,
        type,
        batch: 0,
        head: NUMBER_BYTES[type] * width,
        row: NUMBER_BYTES[type] * width * count,
      });
      const pages = (kind: 'k' | 'v', address: number, width: number) => ({
        ...place(address, width, keyValueHeads, this.storage),
        block: this.#pageBytes(layer.settings, kind),
      });
      const known = heap.addressOf(attention.output);
      const output = known ?? borrow(attention.output.length);
      let second: { address: number; mask: PlacedMask } | undefined;
      if (sinkMask) {
        if (!attention.sinkQuery) throw new ArgumentError('attend: a layer with a sinkPattern needs sinkQuery');
        check('sinkQuery', attention.sinkQuery, rows, heads * queryWidth);
        second = { address: put(attention.sinkQuery), mask: sinkMask };
      }
      await this.#device.run(
        {
          batch: 1,
          heads,
          keyValueHeads,
          queries: rows,
          queryWidth,
          valueWidth,
          q: place(put(attention.q), queryWidth, heads),
          k: pages('k', layer.keys, queryWidth),
          v: pages('v', layer.values, valueWidth),
          output: place(output, valueWidth, heads),
          lse: borrow(heads * rows),
          scale: attention.scale ?? 1 / Math.sqrt(queryWidth),
          ...(softcap === undefined ? {} : { softcap }),
          ...(score && instance
            ? { modifier: { instance, parameters: placeModifier({ numbers: put, words }, score, this.#length) } }
            : {}),
          origin: { batch: 0, head: 0, queryOffset: this.#length },
          sinkLogits: attention.sinkLogits ? put(attention.sinkLogits) : 0,
          mask,
          ...(second ? { second } : {}),
        },
        attention.signal,
      );
      if (known === undefined) attention.output.set(heap.floats(output, attention.output.length));
    } finally {
      for (const address of borrowed) heap.free(address);
    }
  }

  /** The begun tokens are read: moves on, and drops the pages that no later query can see. */
  end(): void {
    this.#length += this.#rows;
    this.#rows = 0;
    this.#freeMasks();
    for (const { table, pattern, sinkPattern, heads } of this.#groups) {
      table.drop((block) => {
        const [start, end] = [block * BLOCK_SIDE, (block + 1) * BLOCK_SIDE];
        // The page that is still being filled stays.
        if (end > this.#length) return false;
        const seen = visibleLater(pattern, heads, start, end, this.#length);
        return !seen && !(sinkPattern && visibleLater(sinkPattern, heads, start, end, this.#length));
      });
    }
  }

  /** Takes back begin(): the begun tokens count as not read, e.g. after an attend() that was cancelled. */
  abandon(): void {
    this.#rows = 0;
    this.#freeMasks();
  }

  /** Forgets everything; the memory stays reserved. */
  clear(): void {
    this.abandon();
    this.#length = 0;
    for (const { table } of this.#groups) table.drop(() => true);
  }

  /** Gives the memory back to the device. */
  dispose(): void {
    this.clear();
    for (const layer of this.#layers) {
      if (layer.pages === 0) continue;
      this.#device.heap.free(layer.keys);
      this.#device.heap.free(layer.values);
      layer.pages = 0;
    }
  }

  #freeMasks(): void {
    for (const group of this.#groups) {
      if (group.mask) this.#device.heap.free(group.mask.address);
      if (group.sinkMask) this.#device.heap.free(group.sinkMask.address);
      group.mask = undefined;
      group.sinkMask = undefined;
    }
  }

  /** Grows a layer's pages by a quarter where its table has more than fit. */
  #provide(layer: Layer): void {
    const needed = layer.group.table.capacity;
    if (needed <= layer.pages) return;
    const pages = layer.pages === 0 ? needed : Math.max(needed, Math.ceil(layer.pages * 1.25));
    const heap = this.#device.heap;
    for (const kind of ['keys', 'values'] as const) {
      const bytes = this.#pageBytes(layer.settings, kind === 'keys' ? 'k' : 'v');
      const address = heap.allocate(pages * bytes);
      if (layer.pages > 0) {
        const old = heap.words(layer[kind], (layer.pages * bytes) / 4);
        heap.words(address, old.length).set(old);
        heap.free(layer[kind]);
      }
      layer[kind] = address;
    }
    layer.pages = pages;
  }

  #append(layer: Layer, rows: Float32Array, address: number, width: number): void {
    const { heap } = this.#device;
    const { storage } = this;
    let row = 0;
    while (row < this.#rows) {
      const position = this.#length + row;
      const within = position % BLOCK_SIDE;
      const count = Math.min(this.#rows - row, BLOCK_SIDE - within);
      const page = layer.group.table.page(Math.floor(position / BLOCK_SIDE));
      const from = rows.subarray(row * width, (row + count) * width);
      const to = address + NUMBER_BYTES[storage] * (page * BLOCK_SIDE + within) * width;
      if (storage === 'f32') heap.floats(to, from.length).set(from);
      else toStorage(from, storage, heap.halves(to, from.length));
      row += count;
    }
  }

  #pageBytes(layer: CacheLayer, kind: 'k' | 'v'): number {
    const width = kind === 'k' ? layer.queryWidth : layer.valueWidth;
    return NUMBER_BYTES[this.storage] * BLOCK_SIDE * layer.keyValueHeads * width;
  }
}

/** A mask has a pattern too, and would be taken for one until the first begin(). */
function checkLayerPattern(pattern: Pattern): void {
  if ('pattern' in pattern)
    throw new ArgumentError(
      'KeyValueCache: a layer has a pattern, from which masks are compiled as the text grows, not a mask; ' +
        'it is for one sequence, so of a refined mask give batch[b].pattern',
    );
  checkPattern(pattern);
}

function check(name: string, array: Float32Array, rows: number, width: number): void {
  if (array.length !== rows * width)
    throw new ArgumentError(
      `attend: ${name} has ${counted(array.length, 'number')}, [${rows}, ${width}] needs ${rows * width}`,
    );
}

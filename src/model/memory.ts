/** How much memory a model and a stream take, said before anything is allocated. */
import type { NumberType } from '../attention/index.ts';
import { NUMBER_BYTES } from '../attention/storage.ts';
import { MemoryError } from '../errors.ts';
import { keysVisibleLater, type Pattern } from '../pattern/index.ts';
import type { DecoderPattern } from './decoder-pattern.ts';
import { type DecoderSizes, HEAD_ROWS } from './language-engine.ts';

/** What the machine gives. */
export interface Machine {
  /** Bytes that this process may use in all. */
  readonly memoryBytes: number;
}

/** Keys and values lie in the kernels' memory, which WebAssembly limits to this. */
const KERNEL_BYTES = 2 ** 32;
/** Bytes of the process itself: the engines' code, the tokenizer, JavaScript's heap. */
const BASE_BYTES = 200 * 2 ** 20;
const BLOCK = 64;

export interface StreamMemory {
  readonly config: DecoderSizes;
  /** By layer. */
  readonly layers: readonly DecoderPattern[];
  readonly length: number;
  readonly chunk: number;
  /** How keys and values are kept. */
  readonly storage: NumberType;
  readonly floatsPerRow: number;
  readonly weightBytes: number;
  readonly machine: Machine;
}

/** Bytes that keys and values take at most while `length` tokens are read. */
export function cacheBytes({ config, layers, length, chunk, storage }: Omit<StreamMemory, 'machine'>): number {
  const { heads, keyValueHeads, headWidth } = config;
  const rows = Math.min(chunk, length);
  const before = length - rows;
  const kept = (pattern: Pattern): number =>
    keysVisibleLater(pattern, heads, before, before).reduce(
      (sum, { start, end }) => sum + BLOCK * (Math.ceil(end / BLOCK) - Math.floor(start / BLOCK)),
      0,
    );
  const known = new Map<string, number>();
  const tokensOf = (layer: DecoderPattern): number => {
    const key = JSON.stringify(layer);
    const sinks = layer.sinkPattern === undefined ? 0 : kept(layer.sinkPattern);
    const tokens = known.get(key) ?? kept(layer.pattern) + sinks + BLOCK * (1 + Math.ceil(rows / BLOCK));
    known.set(key, tokens);
    return tokens;
  };
  const tokens = layers.reduce((sum, layer) => sum + tokensOf(layer), 0);
  return tokens * keyValueHeads * headWidth * 2 * NUMBER_BYTES[storage];
}

/** @throws MemoryError where the stream does not fit beside the weights. */
export function checkStreamMemory(memory: StreamMemory): void {
  const { config, length, chunk, floatsPerRow, weightBytes, machine } = memory;
  const cache = cacheBytes(memory);
  const rows = Math.min(chunk, length);
  // Between the layers; inside a segment gate, up and their product; the head's logits and their softmax.
  const buffers =
    4 * rows * (floatsPerRow + 4 * config.intermediateSize) + 2 * 4 * Math.min(rows, HEAD_ROWS) * config.vocabularySize;
  const needed = weightBytes + cache + buffers + BASE_BYTES;
  if (cache > KERNEL_BYTES) {
    throw new MemoryError(
      `${length} tokens under this pattern keep ${mebibytes(cache)} of keys and values, and the kernels' memory holds ` +
        `${mebibytes(KERNEL_BYTES)}; use a pattern with a bounded window, such as sinks:4+window:1024, or a shorter length`,
      cache,
      KERNEL_BYTES,
    );
  }
  refuseMore(needed, machine, `reading ${length} tokens under this pattern needs`, [
    `${mebibytes(weightBytes)} for weights`,
    `${mebibytes(cache)} for keys and values`,
    `${mebibytes(buffers)} for buffers`,
  ]);
}

/** @throws MemoryError where the weights alone do not fit. */
export function checkWeightMemory(weightBytes: number, machine: Machine): void {
  refuseMore(weightBytes + BASE_BYTES, machine, 'the model needs', [`${mebibytes(weightBytes)} for weights`]);
}

function refuseMore(needed: number, { memoryBytes }: Machine, what: string, parts: readonly string[]): void {
  if (needed <= memoryBytes) return;
  throw new MemoryError(
    `${what} ${mebibytes(needed)} (${parts.join(', ')}), and there are ${mebibytes(memoryBytes)}`,
    needed,
    memoryBytes,
  );
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20).toLocaleString('en-US')} MiB`;
}

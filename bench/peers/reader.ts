/** One program that reads text with a language model, so that several can be timed alike. */

export interface ReadWatch {
  readonly signal: AbortSignal;
  /** Called with the number of tokens read so far. */
  readonly onProgress?: (tokens: number) => void;
}

/** A text that is being read, from its first token on. */
export interface Reading {
  /** Reads all ids; logits are computed for the last one only. Gives the most likely next id. Called once. */
  prefill(ids: readonly number[], watch: ReadWatch): Promise<number>;
  /** Goes on greedily: reads the most likely id and finds the next, `count` times. */
  decode(count: number, watch: ReadWatch): Promise<number[]>;
  close(): Promise<void>;
}

export interface Reader extends AsyncDisposable {
  readonly name: ReaderName;
  /** Version and settings, for a person. */
  readonly about: string;
  encode(text: string): number[];
  /** Makes room for `length` tokens; not timed. `flash` is for llama.cpp. */
  open(length: number, flash: FlashSetting): Promise<Reading>;
}

export const readerNames = ['farfield', 'llama.cpp'] as const;
export type ReaderName = (typeof readerNames)[number];

/** Flash attention in llama.cpp; 'auto' is its default. */
export const flashSettings = ['on', 'off', 'auto'] as const;
export type FlashSetting = (typeof flashSettings)[number];

/** How readers are made: plain data, so that a second process can be given the same. */
export interface ReaderOptions {
  readonly model: string;
  readonly threads: number;
  /** For farfield: which earlier tokens each token sees. */
  readonly pattern: string;
}

export async function openReader(name: ReaderName, options: ReaderOptions): Promise<Reader> {
  if (name === 'farfield') return (await import('./farfield-reader.ts')).openFarfield(options);
  return (await import('./llama-cpp-reader.ts')).openLlamaCpp(options);
}

import { loadLanguageModel, type TokenStream } from '../../src/model/index.ts';
import { parsePattern } from '../../src/pattern/index.ts';
import type { Reader, ReaderOptions, Reading, ReadWatch } from './reader.ts';

/** What passes through the layers together, as in LanguageModel.stream() by default. */
const CHUNK = 1024;

/** Farfield, with a sparse pattern and the weights as they are stored. */
export async function openFarfield({ model: path, threads, pattern: text }: ReaderOptions): Promise<Reader> {
  const model = await loadLanguageModel(path, { threads });
  const pattern = parsePattern(text);
  return {
    name: 'farfield',
    about: `Farfield, ${text}, chunks of ${CHUNK} tokens, keys and values in float32`,
    encode: (source) => Array.from(model.tokenizer.encode(source)),
    open: async (length) => new FarfieldReading(model.stream({ pattern, length, chunk: CHUNK })),
    [Symbol.asyncDispose]: () => model.dispose(),
  };
}

class FarfieldReading implements Reading {
  readonly #stream: TokenStream;
  #next = -1;

  constructor(stream: TokenStream) {
    this.#stream = stream;
  }

  async prefill(ids: readonly number[], { signal, onProgress }: ReadWatch): Promise<number> {
    const last = CHUNK * Math.floor((ids.length - 1) / CHUNK);
    for (let from = 0; from < last; from += CHUNK) {
      await this.#stream.read(ids.slice(from, from + CHUNK), { signal });
      onProgress?.(from + CHUNK);
    }
    this.#next = mostLikely(await this.#stream.logits(ids.slice(last), { signal }));
    onProgress?.(ids.length);
    return this.#next;
  }

  async decode(count: number, { signal, onProgress }: ReadWatch): Promise<number[]> {
    const ids: number[] = [];
    while (ids.length < count) {
      this.#next = mostLikely(await this.#stream.logits([this.#next], { signal }));
      ids.push(this.#next);
      onProgress?.(ids.length);
    }
    return ids;
  }

  async close(): Promise<void> {
    this.#stream.close();
  }
}

function mostLikely(logits: Float32Array): number {
  let best = 0;
  let highest = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i] ?? -Infinity;
    if (logit > highest) [best, highest] = [i, logit];
  }
  return best;
}

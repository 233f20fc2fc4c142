import { exitCode } from '../../src/cli/exit-code.ts';
import { FarfieldError } from '../../src/errors.ts';
import type { FlashSetting, Reader, ReaderOptions, Reading, ReadWatch } from './reader.ts';

/** The part of node-llama-cpp 3.22 that is used here; its own types are there only where bench/peers is installed. */
interface NodeLlamaCpp {
  getLlama(options: { gpu: false; build: 'never'; maxThreads: number; logLevel: 'error' }): Promise<Llama>;
}

interface Llama {
  readonly llamaCppRelease: { readonly release: string };
  readonly systemInfo: string;
  loadModel(options: { modelPath: string }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}

interface LlamaModel {
  tokenize(text: string, specialTokens: boolean): number[];
  createContext(options: {
    contextSize: number;
    threads: { ideal: number; min: number };
    flashAttention: boolean | 'auto';
  }): Promise<LlamaContext>;
  dispose(): Promise<void>;
}

interface LlamaContext {
  readonly batchSize: number;
  getSequence(): LlamaSequence;
  dispose(): Promise<void>;
}

interface LlamaSequence {
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>;
  evaluate(tokens: number[], options: { temperature: number; yieldEogToken: boolean }): AsyncGenerator<number>;
}

const flashOptions: Record<FlashSetting, boolean | 'auto'> = { on: true, off: false, auto: 'auto' };

/** Tokens of context beyond those that are read. */
const SPARE = 512;

/** llama.cpp through node-llama-cpp: dense attention, its default batch size and types of keys and values, on the processor. */
export async function openLlamaCpp({ model: modelPath, threads }: ReaderOptions): Promise<Reader> {
  const { getLlama } = await load();
  const letSignals = holdSignals();
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' });
  const model = await llama.loadModel({ modelPath });
  const vectors = llama.systemInfo.match(/\bAVX\w*(?= = 1)/g)?.at(-1) ?? 'no AVX';
  return {
    name: 'llama.cpp',
    about:
      `llama.cpp ${llama.llamaCppRelease.release} (${vectors}), dense attention, ` +
      'batches of 512 tokens, keys and values in float16',
    encode: (text) => model.tokenize(text, false),
    async open(length, flash) {
      const context = await model.createContext({
        // A context that is full makes node-llama-cpp shift it: it reads half of the text again, which would count against it.
        contextSize: length + SPARE,
        threads: { ideal: threads, min: threads },
        flashAttention: flashOptions[flash],
      });
      return new LlamaReading(context);
    },
    async [Symbol.asyncDispose]() {
      await model.dispose();
      await llama.dispose();
      letSignals();
    },
  };
}

/** By a name that TypeScript does not look up: bench/peers is not installed where Farfield is only built and tested. */
async function load(): Promise<NodeLlamaCpp> {
  const name: string = 'node-llama-cpp';
  try {
    return (await import(name)) as NodeLlamaCpp;
  } catch (cause) {
    throw new FarfieldError('node-llama-cpp is not installed; run: npm ci --ignore-scripts --prefix bench/peers', {
      cause,
    });
  }
}

/**
 * A package that node-llama-cpp loads (signal-exit) kills the process at a signal for which nobody else listens any more; the
 * benchmark's own listener is gone after the first Ctrl-C. This one stays, and ends the process at the second.
 */
function holdSignals(): () => void {
  let received = 0;
  const listener = () => {
    received++;
    if (received > 1) process.exit(exitCode.interrupted);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, listener);
  return () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, listener);
  };
}

class LlamaReading implements Reading {
  readonly #context: LlamaContext;
  readonly #sequence: LlamaSequence;
  #continuation: AsyncGenerator<number> | undefined;

  constructor(context: LlamaContext) {
    this.#context = context;
    this.#sequence = context.getSequence();
  }

  async prefill(ids: readonly number[], { signal, onProgress }: ReadWatch): Promise<number> {
    const { batchSize } = this.#context;
    const last = batchSize * Math.floor((ids.length - 1) / batchSize);
    for (let from = 0; from < last; from += batchSize) {
      signal.throwIfAborted();
      await this.#sequence.evaluateWithoutGeneratingNewTokens(ids.slice(from, from + batchSize));
      onProgress?.(from + batchSize);
    }
    signal.throwIfAborted();
    this.#continuation = this.#sequence.evaluate(ids.slice(last), { temperature: 0, yieldEogToken: true });
    const next = await this.#next();
    onProgress?.(ids.length);
    return next;
  }

  async decode(count: number, { signal, onProgress }: ReadWatch): Promise<number[]> {
    const ids: number[] = [];
    while (ids.length < count) {
      signal.throwIfAborted();
      ids.push(await this.#next());
      onProgress?.(ids.length);
    }
    return ids;
  }

  async close(): Promise<void> {
    await this.#continuation?.return(undefined);
    await this.#context.dispose();
  }

  async #next(): Promise<number> {
    const step = await this.#continuation?.next();
    if (step === undefined || step.done === true) throw new FarfieldError('llama.cpp gave no next token');
    return step.value;
  }
}

import type { Answer, Question } from './questions.ts';

type AnswerTo<K extends Question['kind']> = Extract<Answer, { kind: K }>;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** The work was given up, by dispose() or cancel(). */
export class CancelledError extends Error {
  override name = 'CancelledError';
}

/** A worker that compiles masks and holds the last one. Started by the first question, or before it by start(). */
export class Engine {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #last = 0;

  /** Rejects with the engine's own message, or with CancelledError. */
  ask<Q extends Question>(question: Q): Promise<AnswerTo<Q['kind']>> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (answer: Answer) => void, reject });
      this.start().postMessage({ id, question });
    });
  }

  /** Stops all work at once, and forgets the mask: the next question starts a fresh worker. */
  cancel(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#rejectAll(new CancelledError('cancelled'));
  }

  /** Starts the worker, so that it is there when it is asked. */
  start(): Worker {
    this.#worker ??= this.#newWorker();
    return this.#worker;
  }

  #newWorker(): Worker {
    const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('message', ({ data }: MessageEvent<{ id: number; answer?: Answer; error?: string }>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.answer === undefined) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.answer);
    });
    worker.addEventListener('error', ({ message }) => {
      this.#worker = undefined;
      this.#rejectAll(new Error(message || 'the worker of this page stopped; perhaps it ran out of memory'));
    });
    return worker;
  }

  #rejectAll(error: Error): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

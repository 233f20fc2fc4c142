import type { Answer, Question } from './questions.ts';

type AnswerTo<K extends Question['kind']> = Extract<Answer, { kind: K }>;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** The worker that holds the mask. */
export class Engine {
  readonly #worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module' });
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  constructor() {
    this.#worker.addEventListener(
      'message',
      ({ data }: MessageEvent<{ id: number; answer?: Answer; error?: string }>) => {
        const waiting = this.#waiting.get(data.id);
        this.#waiting.delete(data.id);
        if (data.answer === undefined) waiting?.reject(new Error(data.error));
        else waiting?.resolve(data.answer);
      },
    );
    this.#worker.addEventListener('error', ({ message }) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(message));
      this.#waiting.clear();
    });
  }

  /** Rejects with the engine's own message. */
  ask<Q extends Question>(question: Q): Promise<AnswerTo<Q['kind']>> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (answer: Answer) => void, reject });
      this.#worker.postMessage({ id, question });
    });
  }
}

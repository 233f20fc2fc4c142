/** What a worker posts back: an answer, an error's message, or how far it is (0 to 1). */
export type Reply<Answer> =
  | { readonly id: number; readonly answer: Answer }
  | { readonly id: number; readonly error: string }
  | { readonly id: number; readonly share: number };

/** What a worker is posted. */
export interface Post<Question> {
  readonly id: number;
  readonly question: Question;
}

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly onShare: ((share: number) => void) | undefined;
}

/** A worker of a section: it starts with the first question, and stop() ends it, whatever it does; the next question starts another. */
export class WorkerLink<Question, Answer> {
  readonly #make: () => Worker;
  readonly #waiting = new Map<number, Waiting<Answer>>();
  #worker: Worker | undefined;
  #last = 0;

  constructor(make: () => Worker) {
    this.#make = make;
  }

  /** Whether something is being worked on. */
  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  /** Rejects with the worker's own message, or with "stopped". */
  ask(question: Question, onShare?: (share: number) => void): Promise<Answer> {
    const id = ++this.#last;
    this.#worker ??= this.#start();
    this.#worker.postMessage({ id, question } satisfies Post<Question>);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, onShare }));
  }

  stop(reason = 'stopped'): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }

  #start(): Worker {
    const worker = this.#make();
    worker.addEventListener('message', ({ data }: MessageEvent<Reply<Answer>>) => {
      const waiting = this.#waiting.get(data.id);
      if ('share' in data) {
        waiting?.onShare?.(data.share);
        return;
      }
      this.#waiting.delete(data.id);
      if ('error' in data) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.answer);
    });
    worker.addEventListener('error', ({ message }) => this.stop(message || 'the worker could not be loaded'));
    return worker;
  }
}

/** Answers posts in a worker, one after the other. */
export function answerPosts<Question, Answer>(
  answer: (question: Question, onShare: (share: number) => void) => Promise<Answer>,
): void {
  let before: Promise<unknown> = Promise.resolve();
  self.addEventListener('message', ({ data: { id, question } }: MessageEvent<Post<Question>>) => {
    const post = (reply: Reply<Answer>): void => self.postMessage(reply);
    before = before.then(() =>
      answer(question, (share) => post({ id, share })).then(
        (answer) => post({ id, answer }),
        (error) => post({ id, error: error instanceof Error ? error.message : String(error) }),
      ),
    );
  });
}

/**
 * Work in a worker of its own: the page sends one question, the worker answers in parts as they come. To cancel is to end the
 * worker, so that work which never looks up, such as the compilation of a mask, ends too, with all threads it has started.
 */

type Message<Part> = { readonly part: Part } | { readonly error: string } | { readonly isDone: true };

/** Resolves when the worker has no more parts. Rejects with the worker's message, or with the signal's reason. */
export function inBackground<Question, Part>(
  start: () => Worker,
  question: Question,
  onPart: (part: Part) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    signal.throwIfAborted();
    const worker = start();
    const end = (settle: () => void) => {
      worker.terminate();
      signal.removeEventListener('abort', cancel);
      settle();
    };
    const cancel = () => end(() => reject(signal.reason));
    signal.addEventListener('abort', cancel, { once: true });
    worker.addEventListener('error', (event) =>
      end(() => reject(new Error(event.message || 'the worker could not be loaded'))),
    );
    worker.addEventListener('message', ({ data }: MessageEvent<Message<Part>>) => {
      if ('part' in data) onPart(data.part);
      else if ('error' in data) end(() => reject(new Error(data.error)));
      else end(resolve);
    });
    worker.postMessage(question);
  });
}

/** The worker's side: answers the one question that comes. Parts go out when they are sent, also from work that never waits. */
export function answerInParts<Question, Part>(
  work: (question: Question, send: (part: Part) => void) => void | Promise<void>,
): void {
  const post = (message: Message<Part>) => self.postMessage(message);
  self.addEventListener('message', async ({ data }: MessageEvent<Question>) => {
    try {
      await work(data, (part) => post({ part }));
      post({ isDone: true });
    } catch (error) {
      post({ error: error instanceof Error ? error.message : String(error) });
    }
  });
}

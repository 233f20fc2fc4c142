/** What the tasks of encoders share: the head and the tokenizer that a task needs, and how a run is told of. */
import { ModelError, TextError } from '../errors.ts';
import type { Encoder, HeadModel, Task } from '../model/index.ts';
import type { Tokenizer } from '../text/index.ts';

/** Options of every task that runs an encoder. */
export interface EncoderTaskOptions<Model = Encoder> {
  readonly encoder: Model;
  /** Layers done of all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** @throws ModelError where the encoder has another head, TextError where it has no tokenizer. */
export function checkEncoder(
  name: string,
  { task, tokenizer }: Pick<HeadModel, 'task' | 'tokenizer'>,
  needed: Task,
): Tokenizer {
  if (task !== needed) {
    throw new ModelError(`${name}: the model has the head of ${task}; ${name} needs one of ${needed}`);
  }
  if (tokenizer === undefined) {
    throw new TextError(`${name}: the encoder was loaded without a tokenizer; put tokenizer.json beside the weights`);
  }
  return tokenizer;
}

/** The options of a run that are there. */
export function runOptions({ onProgress, signal }: Omit<EncoderTaskOptions, 'encoder'>) {
  return { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
}

/** An encoder-decoder that classifies a text, or finds an answer in it: encoder and decoder both read it. */
import { ArgumentError, ModelError } from '../../errors.ts';
import type { Tokenizer } from '../../text/index.ts';
import type { EncoderSequence, Task } from '../encoder/architecture.ts';
import { checkSequences, groupsOf } from '../encoder/sequences.ts';
import type { HeadModel, HeadOutput, HeadRunOptions } from '../head-model.ts';
import { Seq2Seq, type Seq2SeqParts } from './seq2seq.ts';

export interface ReaderParts extends Seq2SeqParts {
  readonly task: Task;
  /** config.json, parsed. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Lewis et al., "BART", section 3: the decoder is given the text one token later, behind its start token, and sees all of the encoder's.
 * Row i of the decoder stands for token i. A class is told from the row of the last end token; starts and ends of answers from every
 * row. As in transformers, a mask hides tokens from the encoder's and the decoder's view of the text, and not in the decoder's own.
 */
export class Seq2SeqReader implements HeadModel {
  readonly task: Task;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokenizer: Tokenizer | undefined;
  /** The smaller of the encoder's and the decoder's. */
  readonly maxTokens: number;
  readonly tokenKinds: number;
  readonly hasGlobals: boolean;
  readonly #parts: ReaderParts;
  readonly #seq2seq: Seq2Seq;

  private constructor(parts: ReaderParts, seq2seq: Seq2Seq) {
    this.task = parts.task;
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.maxTokens = Math.min(seq2seq.maxTokens, seq2seq.maxOutputTokens);
    this.tokenKinds = parts.model.encoder.tokenKinds;
    this.hasGlobals = seq2seq.hasGlobals;
    this.#parts = parts;
    this.#seq2seq = seq2seq;
  }

  /** @throws CheckpointError for tensors that are not those of the configuration, ModelError for a head that the model does not have. */
  static async create(parts: ReaderParts): Promise<Seq2SeqReader> {
    const head = parts.model.heads?.[parts.task];
    if (head === undefined) throw new ModelError(`the model has no head of ${parts.task}`);
    return new Seq2SeqReader(parts, await Seq2Seq.create({ ...parts, head }));
  }

  /**
   * Reads a batch of sequences, packed without padding.
   * @throws ArgumentError for ids, masks or lengths that the model does not have, and for a sequence to classify without an end token.
   */
  async run(options: HeadRunOptions): Promise<HeadOutput[]> {
    const sequences = checkSequences(options, this.#parts.model.encoder);
    const asked = sequences.map((sequence, i) => ({ ...sequence, ...this.#rowsOf(sequence, i) }));
    const groups = groupsOf(asked, options.rowsTogether);
    const outputs: HeadOutput[] = [];
    for (const [i, group] of groups.entries())
      outputs.push(...(await this.#runGroup(group, options, i, groups.length)));
    return outputs;
  }

  dispose(): Promise<void> {
    return this.#seq2seq.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** What the decoder reads of a sequence, and the row that a class is told from. */
  #rowsOf({ ids, mask }: EncoderSequence, i: number): { readonly shifted: Int32Array; readonly place: number } {
    const { startToken, endToken } = this.#parts.model;
    if (ids.length > this.maxTokens) {
      throw new ArgumentError(
        `inputIds[${i}] has ${ids.length} tokens; encoder and decoder both read them, and have ${this.maxTokens} positions`,
      );
    }
    let [length, place] = [mask.lastIndexOf(1) + 1, 0];
    if (this.task === 'sequenceClassification') {
      place = endToken === undefined ? -1 : ids.lastIndexOf(endToken);
      if (place < 0) {
        const end = endToken === undefined ? '; config.json names none (eos_token_id)' : ` (${endToken})`;
        throw new ArgumentError(`inputIds[${i}] has no end token${end}, from whose last a class is told`);
      }
      length = place + 1;
    }
    const shifted = new Int32Array(length);
    shifted.set(ids.subarray(0, length - 1), 1);
    shifted[0] = startToken;
    return { shifted, place };
  }

  async #runGroup(
    group: readonly (EncoderSequence & { readonly shifted: Int32Array; readonly place: number })[],
    { signal, onProgress }: HeadRunOptions,
    index: number,
    groups: number,
  ): Promise<HeadOutput[]> {
    const { encoder, decoder } = this.#seq2seq.steps;
    const all = encoder + decoder;
    const step = (before: number) => (done: number) => onProgress?.(index * all + before + done, groups * all);
    const own = signal === undefined ? {} : { signal };
    const texts = await this.#seq2seq.encode({
      inputIds: group.map(({ ids }) => ids),
      attentionMask: group.map(({ mask }) => mask),
      ...(this.hasGlobals ? { globalAttentionMask: group.map(({ globals }) => globals) } : {}),
      onProgress: step(0),
      ...own,
    });
    try {
      const isClassifier = this.task === 'sequenceClassification';
      const { outputs } = await this.#seq2seq.headOutputs(texts, {
        inputIds: group.map(({ shifted }) => shifted),
        ...(isClassifier ? { places: group.map(({ place }) => [place]) } : {}),
        onProgress: step(encoder),
        ...own,
      });
      return group.map(({ ids }, i) => {
        const results = outputs.map(({ name, width, data }) => {
          const rows = new Float32Array(isClassifier ? width : ids.length * width);
          rows.set(data[i] ?? []);
          return [name, isClassifier ? { data: rows, shape: [width] } : rows];
        });
        return Object.fromEntries(results);
      });
    } finally {
      texts.dispose();
    }
  }
}

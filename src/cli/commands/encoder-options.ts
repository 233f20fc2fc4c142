/** What the commands that run an encoder on documents share. */
import { type Command, Option } from 'commander';
import { FarfieldError } from '../../errors.ts';
import {
  type Encoder,
  type HeadModel,
  type LoadEncoderOptions,
  loadEncoder,
  loadHeadModel,
  type Task,
} from '../../model/index.ts';
import { parsePattern } from '../../pattern/index.ts';
import { readDocument, type TextDocument } from '../../text/index.ts';
import { integer } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { readInputFile } from '../input-file.ts';
import type { Progress } from '../progress.ts';
import { noteBlindTokens } from './blind-tokens.ts';
import { hubProgress } from './hub-progress.ts';

export interface EncoderOptions {
  readonly model: string;
  readonly pattern?: string;
  readonly positions: 'given' | 'repeat';
  readonly threads?: number;
  readonly streamWeights?: boolean;
}

/** Adds the options of EncoderOptions. */
export function addEncoderOptions(command: Command): Command {
  return command
    .option(
      '--model <path>',
      'a folder with config.json, weights and tokenizer.json, or owner/name on the Hugging Face hub',
    )
    .option(
      '--pattern <pattern>',
      'what each token sees in layers with full attention, for example "window:128"; default: all',
    )
    .addOption(
      new Option(
        '--positions <kind>',
        'beyond the last position that the model has learned: given: refuse; repeat: begin again (Longformer, section 5)',
      )
        .choices(['given', 'repeat'])
        .default('given'),
    )
    .option('--threads <count>', 'threads; default: one for each core', integer(1))
    .option(
      '--stream-weights',
      "read each layer's weights from the file when the text comes to it: a fraction of the memory, for long texts",
    );
}

/** Loads the encoder with one head, behind a progress line. The caller disposes it. */
export function openEncoderFor(task: Task, options: EncoderOptions, context: CommandContext): Promise<Encoder> {
  return openBehindProgress(loadEncoder, task, options, context);
}

/** The same of an encoder, or of an encoder-decoder with such a head. */
export function openHeadModelFor(task: Task, options: EncoderOptions, context: CommandContext): Promise<HeadModel> {
  return openBehindProgress(loadHeadModel, task, options, context);
}

async function openBehindProgress<Model>(
  load: (path: string, options: LoadEncoderOptions) => Promise<Model>,
  task: Task,
  { model, pattern, positions, threads, streamWeights = false }: EncoderOptions,
  context: CommandContext,
): Promise<Model> {
  const { progress, signal } = context;
  using download = hubProgress(context);
  let line: Progress | undefined;
  try {
    return await load(model, {
      task,
      positions,
      ...(pattern === undefined ? {} : { pattern: parsePattern(pattern) }),
      ...(threads === undefined ? {} : { threads }),
      weights: streamWeights ? 'streamed' : 'kept',
      onProgress: (done, total) => {
        line ??= progress({ label: 'loading the model', unit: 'parts', total });
        line.update(done);
      },
      hub: download.hub,
      signal,
    });
  } finally {
    line?.[Symbol.dispose]();
  }
}

/** Looks at the longest text, as far as the model reads it at once, under the pattern that was given: see noteBlindTokens(). */
export async function lookAtPattern(
  { pattern }: EncoderOptions,
  { tokenizer, maxTokens, config }: Pick<HeadModel, 'tokenizer' | 'maxTokens' | 'config'>,
  texts: readonly string[],
  context: CommandContext,
): Promise<void> {
  if (pattern === undefined || tokenizer === undefined) return;
  let tokens = 1;
  for (const text of texts) {
    if (tokens >= maxTokens) break;
    const ids = await tokenizer.encodeInPieces(text, { signal: context.signal });
    tokens = Math.max(tokens, Math.min(ids.length, maxTokens));
  }
  const heads = Number(config.num_attention_heads);
  noteBlindTokens(parsePattern(pattern), { tokens, heads, isCausal: false }, context);
}

/** A txt, md or html file. @throws FarfieldError where it cannot be read, TextError where it is not text. */
export async function openDocument(path: string, option: string): Promise<TextDocument> {
  const document = readDocument(await readInputFile(path, option), path);
  if (document.text.trim() === '') throw new FarfieldError(`${option} ${path}: there is no text in it`);
  return document;
}

/** Runs a task behind a progress line. */
export async function readBehindProgress<Result>(
  { progress, signal }: CommandContext,
  run: (options: { onProgress: (done: number, total: number) => void; signal: AbortSignal }) => Promise<Result>,
): Promise<Result> {
  let line: Progress | undefined;
  try {
    return await run({
      onProgress: (done, total) => {
        line ??= progress({ label: 'reading', unit: 'layers', total });
        line.update(done);
      },
      signal,
    });
  } finally {
    line?.[Symbol.dispose]();
  }
}

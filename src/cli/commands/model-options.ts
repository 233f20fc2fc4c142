import { type Command, InvalidArgumentError, Option } from 'commander';
import type { NumberType } from '../../attention/index.ts';
import { type LanguageModel, loadLanguageModel, type Positions } from '../../model/index.ts';
import { type Pattern, parsePattern } from '../../pattern/index.ts';
import { decodeText } from '../../text/index.ts';
import { integer } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { formatCounted } from '../format.ts';
import { readInputFile } from '../input-file.ts';
import type { Progress } from '../progress.ts';
import { hubProgress } from './hub-progress.ts';

/** What every command that runs a language model can be told. */
export interface ModelOptions {
  readonly model: string;
  readonly pattern?: string;
  readonly positions: Positions;
  readonly weights: 'quantized' | 'f32';
  readonly kv: NumberType;
  readonly adapter?: string;
  readonly threads?: number;
}

/** Adds the options of ModelOptions. */
export function addModelOptions(command: Command): Command {
  return command
    .option(
      '--model <path>',
      'a .gguf file, a .safetensors file, a folder with config.json and tokenizer.json, owner/name[:file] on the Hugging Face hub, or farfield-small, which comes with Farfield',
    )
    .option(
      '--pattern <pattern>',
      'which earlier tokens each token sees, for example "sinks:4+window:1024"; default: what the model was trained to see, all for most',
    )
    .addOption(
      new Option(
        '--positions <kind>',
        'cached: sinks keep the distance at which the model knows them; auto: cached beyond the model’s context',
      )
        .choices(['auto', 'given', 'cached'])
        .default('auto'),
    )
    .addOption(
      new Option('--weights <form>', 'quantized: as the file stores them; f32: expanded, larger, and the exact numbers')
        .choices(['quantized', 'f32'])
        .default('quantized'),
    )
    .option('--adapter <folder>', 'LoRA adapters to compute with: a save of farfield train, or a folder of PEFT')
    .addOption(
      new Option('--kv <type>', 'how keys and values are kept; f16 and bf16 take half the memory')
        .choices(['f32', 'f16', 'bf16'])
        .default('f32'),
    )
    .option('--threads <count>', 'threads; default: one for each core', integer(1));
}

/** The pattern that was given, checked before anything is loaded. */
export function patternOf({ pattern }: ModelOptions): { readonly pattern?: Pattern } {
  return pattern === undefined ? {} : { pattern: parsePattern(pattern) };
}

/** Loads the model behind a progress line. The caller disposes it. */
export async function openModel(options: ModelOptions, context: CommandContext): Promise<LanguageModel> {
  const { progress, signal } = context;
  using download = hubProgress(context);
  let line: Progress | undefined;
  try {
    const model = await loadLanguageModel(options.model, {
      weights: options.weights,
      ...(options.adapter === undefined ? {} : { adapter: options.adapter }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      onProgress: (done, total) => {
        line ??= progress({ label: 'loading the model', unit: 'parts', total });
        line.update(done);
      },
      hub: download.hub,
      signal,
    });
    noteLeftOut(model.leftOut, context);
    return model;
  } finally {
    line?.[Symbol.dispose]();
  }
}

/** Says which parts of a model are not read, and how many tensors they have. */
export function noteLeftOut(leftOut: Readonly<Record<string, number>>, context: CommandContext): void {
  const parts = Object.entries(leftOut).map(([part, tensors]) => `${part} (${formatCounted(tensors, 'tensor')})`);
  if (parts.length > 0) context.note(`a model of texts and pictures: left out ${parts.join(', ')}`);
}

/** A UTF-8 text file. @throws FarfieldError where it cannot be read, TextError where it is not UTF-8. */
export async function readText(path: string, option: string): Promise<string> {
  return decodeText(await readInputFile(path, option), path);
}

/** Token ids behind a progress line. */
export async function tokenize(model: LanguageModel, text: string, context: CommandContext): Promise<Int32Array> {
  using line = context.progress({ label: 'tokenizing', unit: 'characters', total: text.length });
  return await model.tokenizer.encodeInPieces(text, {
    addSpecialTokens: true,
    signal: context.signal,
    onProgress: (done) => line.update(done),
  });
}

/** Parses an option that is a number from `least` to `most`. */
export function numberFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= least && value <= most)) {
      const end = most === Infinity ? 'or more' : `to ${most}`;
      throw new InvalidArgumentError(`It must be a number from ${least} ${end}.`);
    }
    return value;
  };
}

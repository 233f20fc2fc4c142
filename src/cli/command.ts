import { type Command, InvalidArgumentError, type OptionValues } from 'commander';
import type { CommandContext } from './context.ts';
import { wrap } from './format.ts';

/** The width that help is written for. */
const COLUMNS = 80;

/** A command's work. The frame reports what it throws and turns it into the exit code. */
export type Run<Options extends OptionValues> = (options: Options, context: CommandContext) => Promise<void>;

/**
 * Puts a command's work behind its options: errors, Ctrl-C, --json and the exit code are the frame's. `needed` are the options
 * that must be given. (Commander's requiredOption complains of them before it looks for a misspelt one.)
 */
export type Start = <Options extends OptionValues>(
  run: Run<Options>,
  needed?: readonly (keyof Options & string)[],
) => (this: Command) => Promise<void>;

/** Adds one command to the program. */
export type Register = (program: Command, start: Start) => void;

export interface Example {
  readonly does: string;
  readonly command: string;
}

/** A command with the frame's own options and its examples, which every command has. */
export function addCommand(
  parent: Command,
  name: string,
  texts: { readonly summary: string; readonly description: string; readonly examples: readonly Example[] },
): Command {
  return parent
    .command(name)
    .summary(texts.summary)
    .description(texts.description)
    .option('--json', 'print one JSON object on stdout and everything else on stderr')
    .allowExcessArguments(false)
    .addHelpText('after', () => `\n${formatExamples(texts.examples)}`);
}

/** The examples in 80 columns; a command that is longer goes on behind a backslash, as shells read it. */
export function formatExamples(examples: readonly Example[]): string {
  const shown = examples.map(
    ({ does, command }) => `  # ${wrap(does, COLUMNS - 4, '  # ')}\n  ${brokenCommand(command)}`,
  );
  return `Examples:\n${shown.join('\n\n')}`;
}

/** Breaks a command before an option where its line would be too long. */
function brokenCommand(command: string): string {
  const lines: string[] = [];
  let line = '';
  for (const part of command.split(/ (?=--)/)) {
    const longer = line === '' ? part : `${line} ${part}`;
    if (line !== '' && longer.length > COLUMNS - '    '.length - ' \\'.length) {
      lines.push(line);
      line = part;
    } else line = longer;
  }
  return [...lines, line].join(' \\\n    ');
}

/** Ends the command with a usage error where one of the options is missing. */
export function checkNeeded(command: Command, needed: readonly string[]): void {
  const options: OptionValues = command.opts();
  for (const name of needed) {
    if (options[name] !== undefined) continue;
    const flags = command.options.find((option) => option.attributeName() === name)?.flags ?? name;
    command.error(`error: option '${flags}' is needed`);
  }
}

/** Parses an option that is a whole number from `least` to `most`. */
export function integer(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d[\d_,]*$/.test(text) ? Number(text.replaceAll(/[_,]/g, '')) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
      throw new InvalidArgumentError(`It must be a whole number ${range}.`);
    }
    return value;
  };
}

/** Parses an option that is a list of names separated by commas, each one of `known`. */
export function listOf<Name extends string>(known: readonly Name[]): (text: string) => Name[] {
  return (text) =>
    text.split(',').map((part) => {
      const name = known.find((candidate) => candidate === part.trim());
      if (name === undefined) throw new InvalidArgumentError(`${part.trim()} is not one of ${known.join(', ')}.`);
      return name;
    });
}

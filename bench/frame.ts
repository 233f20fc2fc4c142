/** A benchmark as a command of its own, with the options, progress line, Ctrl-C and --json that `farfield` has. */
import { Command, InvalidArgumentError, type OptionValues } from 'commander';
import { formatExamples, integer, type Run } from '../src/cli/command.ts';
import { createContext } from '../src/cli/context.ts';
import { exitCode } from '../src/cli/exit-code.ts';
import { Interrupted, InterruptWatch } from '../src/cli/interrupt.ts';
import { FarfieldError } from '../src/errors.ts';
import { measureIdleness, noiseWarning } from './quiet.ts';

// bench/peers may have a commander of its own.
export { Option, type OptionValues } from 'commander';
export type { CommandContext } from '../src/cli/context.ts';

/** `examples` are the command lines that its help ends with. */
export function benchmark(
  name: string,
  description: string,
  examples: readonly (readonly [string, string])[],
): Command {
  return new Command(name)
    .description(description)
    .helpOption('-h, --help', 'print this help')
    .option('--json', 'print one JSON object on stdout and everything else on stderr')
    .allowExcessArguments(false)
    .addHelpText('after', () => `\n${formatExamples(examples.map(([does, command]) => ({ does, command })))}`);
}

/** Parses the process's arguments and runs; sets the exit code. */
export async function start<Options extends OptionValues>(command: Command, run: Run<Options>): Promise<void> {
  command.parse();
  const options = command.opts<Options & { readonly json?: boolean }>();
  using watch = new InterruptWatch();
  const context = createContext(process, watch.signal, options.json === true);
  watch.onSlowStop(() => context.note(`${command.name()}: stopping; press Ctrl-C again to stop at once`));
  try {
    const warning = noiseWarning(await measureIdleness());
    if (warning !== undefined) context.note(warning);
    await run(options, context);
    watch.signal.throwIfAborted();
  } catch (error) {
    const { reason } = watch.signal;
    if (reason instanceof Interrupted) {
      context.note(`${command.name()}: ${reason.message}`);
      process.exitCode = reason.exitCode;
      return;
    }
    const known = error instanceof FarfieldError && process.env.FARFIELD_DEBUG !== '1';
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    context.note(`${command.name()}: ${known ? error.message : stack}`);
    process.exitCode = exitCode.failure;
  }
}

/** Parses an option that is a list of whole numbers separated by commas. */
export function integers(least: number): (text: string) => number[] {
  const one = integer(least);
  return (text) => {
    const numbers = text.split(',').map((part) => one(part.trim()));
    if (new Set(numbers).size !== numbers.length) throw new InvalidArgumentError('It names a number twice.');
    return numbers;
  };
}

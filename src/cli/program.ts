import { readFileSync } from 'node:fs';
import { Command, CommanderError, type OptionValues } from 'commander';
import { FarfieldError } from '../errors.ts';
import { checkNeeded, formatExamples, type Run, type Start } from './command.ts';
import { registry } from './commands/index.ts';
import { type CommandContext, createContext, type Streams } from './context.ts';
import { exitCode } from './exit-code.ts';
import { Interrupted, InterruptWatch } from './interrupt.ts';

/** Runs the `farfield` command with the arguments after its name. Returns the exit code; never rejects. */
export async function runCommandLine(
  args: readonly string[],
  streams: Streams = { stdout: process.stdout, stderr: process.stderr },
): Promise<number> {
  ignoreClosedPipe();
  let code: number = exitCode.success;
  const start: Start = <Options extends OptionValues>(run: Run<Options>, needed: readonly string[] = []) =>
    async function (this: Command) {
      checkNeeded(this, needed);
      const options = this.opts<Options & { readonly json?: boolean }>();
      code = await runCommand((context) => run(options, context), options.json === true, streams);
    };
  const program = createProgram(streams);
  for (const register of registry) register(program, start);
  try {
    // Commander's help takes the name of one command; bench has commands of its own.
    const [first, ...rest] = args;
    await program.parseAsync(first === 'help' && rest.length > 1 ? [...rest, '--help'] : [...args], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCode.success : exitCode.usage;
  }
}

function createProgram(streams: Streams): Command {
  return new Command('farfield')
    .description('Sparse attention: run long-context models, draw and measure attention patterns.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .usage('<command> [options]')
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'farfield: ')),
      getOutHelpWidth: () => Math.min(streams.stdout.columns || 80, 100),
      getErrHelpWidth: () => Math.min(streams.stderr.columns || 80, 100),
    })
    .exitOverride()
    .addHelpText(
      'after',
      () =>
        `\n${formatExamples([
          { does: 'what this machine offers', command: 'farfield doctor' },
          { does: 'the options of a command, with examples', command: 'farfield mask --help' },
        ])}`,
    );
}

async function runCommand(
  run: (context: CommandContext) => Promise<void>,
  json: boolean,
  streams: Streams,
): Promise<number> {
  using watch = new InterruptWatch();
  const context = createContext(streams, watch.signal, json);
  watch.onSlowStop(() => context.note('farfield: stopping; press Ctrl-C again to stop at once'));
  try {
    await run(context);
    watch.signal.throwIfAborted();
    return exitCode.success;
  } catch (error) {
    return report(error, watch.signal, context.note);
  }
}

/** One line for the person who caused it; a stack where it was asked for, and where the mistake is Farfield's own. */
function report(error: unknown, signal: AbortSignal, note: (text: string) => void): number {
  if (signal.aborted && signal.reason instanceof Interrupted) {
    note(`farfield: ${signal.reason.message}`);
    return signal.reason.exitCode;
  }
  const debug = process.env.FARFIELD_DEBUG === '1';
  if (error instanceof FarfieldError) {
    note(`farfield: ${debug ? (error.stack ?? error.message) : error.message}`);
    return exitCode.failure;
  }
  note(`farfield: unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  note('farfield: this is a mistake in Farfield, not in your command; please report it');
  return exitCode.failure;
}

/** `farfield mask | head` ends quietly when head has seen enough. */
function ignoreClosedPipe(): void {
  if (process.stdout.listenerCount('error') > 0) return;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode.success);
    throw error;
  });
}

function readVersion(): string {
  const path = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  return version;
}

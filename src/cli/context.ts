import { Progress, type ProgressOptions } from './progress.ts';

/** What the frame hands to a command. */
export interface CommandContext {
  /** Aborts on Ctrl-C. A command passes it on and lets the rejection through. */
  readonly signal: AbortSignal;
  /** Whether the command was given --json. */
  readonly json: boolean;
  /** The width to write to, in characters. */
  readonly columns: number;
  /** Whether stdout shows colours: a terminal, unless NO_COLOR is set. */
  readonly colour: boolean;
  /** The command's result: `text` on stdout, or with --json only `object`. Called once, last. */
  result(object: object, text: string): void;
  /** Text on stdout as it comes, for a command that streams; dropped with --json. */
  stream(text: string): void;
  /** A remark on stderr, on a line of its own. */
  note(text: string): void;
  /** A progress line on stderr. Dispose it when the work is done. */
  progress(options: ProgressOptions): Progress;
}

/** The standard streams, or what a test puts in their place. */
export interface Streams {
  readonly stdout: { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };
  readonly stderr: { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };
}

export function createContext(streams: Streams, signal: AbortSignal, json: boolean): CommandContext {
  const { stdout, stderr } = streams;
  const lines = new Set<Progress>();
  const clear = (): void => {
    for (const line of lines) line.clear();
  };
  return {
    signal,
    json,
    colour: stdout.isTTY === true && !json && (process.env.NO_COLOR ?? '') === '',
    columns: Math.max(stdout.columns || 80, 20),
    result(object, text) {
      clear();
      stdout.write(json ? `${JSON.stringify(object)}\n` : withNewline(text));
    },
    stream(text) {
      if (json) return;
      clear();
      stdout.write(text);
    },
    note(text) {
      clear();
      stderr.write(withNewline(text));
    },
    progress(options) {
      const line = new Progress(stderr, options);
      lines.add(line);
      return line;
    },
  };
}

function withNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

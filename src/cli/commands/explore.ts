import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FarfieldError } from '../../errors.ts';
import { parsePattern } from '../../pattern/index.ts';
import { addCommand, integer, type Register } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { serveFolders } from '../serve-folders.ts';

interface Options {
  readonly pattern?: string;
  readonly length?: number;
  readonly port: number;
  readonly open: boolean;
}

/** The built page, in a package and in a checkout. */
const folder = fileURLToPath(new URL('../../../dist/explorer', import.meta.url));
/** The model that the page runs is the package's own; its folder is served beside the page. */
const models = fileURLToPath(new URL('../../../models', import.meta.url));

export const registerExplore: Register = (program, start) => {
  addCommand(program, 'explore', {
    summary: 'open the explorer: see, compose and measure patterns in the browser',
    description:
      'Serves the explorer to this machine alone, from the files of this package, and opens it in the browser. It runs until Ctrl-C. ' +
      'Nothing is fetched from elsewhere.',
    examples: [
      { does: 'open it', command: 'farfield explore' },
      { does: 'open it with a pattern', command: 'farfield explore --pattern "sinks:4+window:256" --length 8192' },
      { does: 'only say where it is', command: 'farfield explore --no-open --json' },
    ],
  })
    .option('--pattern <pattern>', 'the pattern to begin with, for example "sinks:4+window:1024", or its JSON')
    .option('--length <tokens>', 'tokens to begin with, 16 to 1048576', integer(16, 1_048_576))
    .option('--port <number>', 'port of this machine; 0 is any that is free', integer(0, 65_535), 0)
    .option('--no-open', 'do not open a browser')
    .action(start(explore));
};

async function explore(options: Options, context: CommandContext): Promise<void> {
  const { pattern, length, port } = options;
  if (pattern !== undefined) parsePattern(pattern);
  if (!existsSync(`${folder}/index.html`)) {
    throw new FarfieldError(`the explorer is not built: there is no ${folder}; in a checkout, npm run build makes it`);
  }
  await using server = await serveFolders({ '/': folder, '/models/': models }, { port });
  const state = new URLSearchParams({
    ...(pattern !== undefined && { pattern }),
    ...(length !== undefined && { n: String(length) }),
  });
  const url = `${server.url}${state.size > 0 ? `#${state}` : ''}`;
  context.result({ url }, `The explorer is at ${url}\nCtrl-C ends it.`);
  if (options.open) openBrowser(url, context);
  if (!context.signal.aborted) await once(context.signal, 'abort');
}

function openBrowser(url: string, context: CommandContext): void {
  const [command, ...args] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['rundll32', 'url.dll,FileProtocolHandler', url]
        : ['xdg-open', url];
  const opener = spawn(command, args, { stdio: 'ignore', detached: true });
  opener.on('error', () => context.note('No browser could be started; open the address yourself.'));
  opener.unref();
}

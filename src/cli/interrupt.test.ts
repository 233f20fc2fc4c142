import { execFile } from 'node:child_process';
import { describe, expect, it } from 'vitest';

/** Runs the command line in a process of its own, which sends itself a signal as soon as the command has started. */
function interrupted(
  signal: string,
  args: readonly string[],
): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const program = `
    import { runCommandLine } from ${JSON.stringify(new URL('program.ts', import.meta.url).href)};
    const started = setInterval(() => {
      if (process.listenerCount('${signal}') === 0) return;
      clearInterval(started);
      setTimeout(() => process.kill(process.pid, '${signal}'), 200);
    }, 1);
    process.exitCode = await runCommandLine(${JSON.stringify(args)});`;
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', program], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), stdout, stderr }),
    );
  });
}

describe.skipIf(process.platform === 'win32')('Ctrl-C', () => {
  it.each([
    ['SIGINT', 130, 'farfield: interrupted\n'],
    ['SIGTERM', 143, 'farfield: terminated\n'],
  ] as const)('%s ends a command with %i and one line', async (signal, code, stderr) => {
    // More repeats than anyone waits for.
    const endless = [
      'bench',
      'attention',
      '--pattern',
      'window:8',
      '--seq',
      '512',
      '--heads',
      '1',
      '--repeat',
      '100000000',
    ];
    expect(await interrupted(signal, [...endless, '--json'])).toEqual({ code, stdout: '', stderr });
  });
});

/**
 * Builds dist/: the wasm kernels, the TypeScript, and the explorer's page. With --if-stale, only when a source is newer than the last build.
 *
 *     node scripts/build.ts [--if-stale]
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = `${root}dist/.built`;

function isStale(): boolean {
  if (!existsSync(stamp)) return true;
  const built = statSync(stamp).mtimeMs;
  const sources = globSync(
    [
      'src/**/*',
      'explorer/{src/**/*,public/**/*,*.*}',
      'scripts/{build*,wasm-kernel,pattern-pages/*}.ts',
      'package.json',
      'tsconfig.json',
      'tsdown.config.ts',
    ],
    {
      cwd: root,
      exclude: (path) => path.endsWith('.test.ts') || path.endsWith('.wasm'),
    },
  );
  return sources.some((source) => {
    const entry = statSync(`${root}${source}`);
    // A folder's time tells of a deleted file.
    return entry.mtimeMs > built && !source.endsWith('/build');
  });
}

function node(what: string, ...args: string[]): void {
  process.stderr.write(`build: ${what}\n`);
  const { status, signal } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) {
    process.stderr.write(`build: ${args[0]} ended with ${signal ?? `exit code ${status}`}\n`);
    process.exit(status ?? 1);
  }
}

if (!process.argv.includes('--if-stale') || isStale()) {
  if (existsSync(`${root}scripts/build-wasm.ts`)) node('the kernels', 'scripts/build-wasm.ts');
  node('the package', 'node_modules/tsdown/dist/run.mjs', '--logLevel', 'warn');
  if (existsSync(`${root}scripts/build-explorer.ts`)) node("the explorer's page", 'scripts/build-explorer.ts');
  writeFileSync(stamp, '');
}

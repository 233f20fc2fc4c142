/**
 * Builds the explorer to dist/explorer/, where `farfield explore` finds it:
 *
 *     node scripts/build-explorer.ts
 */
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

process.env.NODE_ENV = 'production';
const root = fileURLToPath(new URL('..', import.meta.url));
await build({
  root: `${root}explorer`,
  logLevel: 'warn',
  build: { outDir: `${root}dist/explorer`, emptyOutDir: true },
});

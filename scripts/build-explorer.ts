/**
 * Builds the explorer to dist/explorer/, where `farfield explore` finds it and serves the package's model beside it. With
 * --with-model the model is copied into the folder, which can then be put on any static server:
 *
 *     node scripts/build-explorer.ts [--with-model]
 */
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

process.env.NODE_ENV = 'production';
const root = fileURLToPath(new URL('..', import.meta.url));
const outDir = `${root}dist/explorer`;
await build({ root: `${root}explorer`, logLevel: 'warn', build: { outDir, emptyOutDir: true } });
if (process.argv.includes('--with-model')) {
  for (const name of ['config.json', 'model.safetensors'])
    cpSync(`${root}models/farfield-small/${name}`, `${outDir}/models/farfield-small/${name}`);
}

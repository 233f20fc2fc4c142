import { existsSync, globSync } from 'node:fs';
import { defineConfig } from 'tsdown';

/** Files that something names from outside: the package's exports and bin, the worker and the process that a URL starts. */
const faces = [
  'src/index.ts',
  'src/pattern/index.ts',
  'src/mask/index.ts',
  'src/attention/index.ts',
  'src/attention/wasm/worker.ts',
  'src/graph/index.ts',
  'src/checkpoint/index.ts',
  'src/text/index.ts',
  'src/model/index.ts',
  'src/train/index.ts',
  'src/task/index.ts',
  'src/cli/main.ts',
  ...globSync('src/cli/bench/**/*-process.ts'),
  ...globSync('src/*/node.ts'),
];

export default defineConfig({
  entry: faces.filter((face) => existsSync(face)),
  root: 'src',
  // dist mirrors src, so that the worker and the wasm modules keep their relative URLs.
  unbundle: true,
  format: 'esm',
  platform: 'neutral',
  target: ['node20', 'es2023'],
  fixedExtension: false,
  dts: true,
  // What is disposed of has its types from there; a project that targets ES2023 or earlier may not name it.
  banner: { dts: '/// <reference lib="esnext.disposable" />' },
  deps: { skipNodeModulesBundle: true, neverBundle: [/^node:/] },
  copy: globSync('src/attention/wasm/build/*.wasm').map((from) => ({ from, to: 'dist/attention/wasm/build' })),
  checks: { pluginTimings: false },
  report: false,
});

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { ClosingLine } from './test/reporter/closing-line.ts';

const source = fileURLToPath(new URL('src', import.meta.url));

export default defineConfig({
  // The package's own name means its sources here, as in tsconfig.json.
  resolve: {
    alias: [
      { find: /^farfield$/, replacement: `${source}/index.ts` },
      { find: /^farfield\/(\w+)$/, replacement: `${source}/$1/index.ts` },
    ],
  },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/kernels/*.test.ts'],
    setupFiles: ['test/seed.ts'],
    testTimeout: 120_000,
    // Opening a device compiles its kernels, which takes a while beside other files' tests.
    hookTimeout: 120_000,
    pool: 'forks',
    reporters: ['default', new ClosingLine()],
  },
});

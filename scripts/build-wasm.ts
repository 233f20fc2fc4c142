/** Compiles the attention kernels: `node scripts/build-wasm.ts`. The builds are those of src/attention/wasm/kernel/README.md. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileKernel, kernelFolder, tiles } from './wasm-kernel.ts';

const output = join(kernelFolder, '../build');

const builds = [
  { name: 'baseline', panel: 8, relaxed: false },
  { name: 'relaxed', panel: 8, relaxed: true },
  { name: 'merged', panel: 16, relaxed: true },
];

mkdirSync(output, { recursive: true });
// On disk for people and editors; compileKernel() makes it anew for each build.
writeFileSync(join(kernelFolder, 'tiles.generated.ts'), tiles(16));
for (const { name, ...build } of builds) writeFileSync(join(output, `${name}.wasm`), await compileKernel(build));

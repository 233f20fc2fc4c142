/**
 * Compiles a kernel of the ladder in a process of its own: the compiler is WebAssembly too, and V8 may end a process that optimizes it
 * while a kernel is compiled with other settings (src/attention/wasm/platform-node.ts). Run as a program, it prints the binary.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compileKernel, type KernelBuild } from '../../scripts/wasm-kernel.ts';
import { buildOf } from './steps.ts';

/** The index of a step, or a file of ./assembly. */
export type KernelName = number | 'plain' | 'peak';

const file = fileURLToPath(import.meta.url);

export function compileAlone(name: KernelName): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const options = { encoding: 'buffer', maxBuffer: 2 ** 24 } as const;
    execFile(process.execPath, [file, String(name)], options, (error, stdout, stderr) => {
      if (error) reject(new Error(`the kernel ${name} does not compile:\n${stderr.toString()}`, { cause: error }));
      else resolve(new Uint8Array(stdout));
    });
  });
}

function build(name: string): KernelBuild {
  if (name !== 'plain' && name !== 'peak') return buildOf(Number(name));
  const entry = fileURLToPath(new URL(`./assembly/${name}.ts`, import.meta.url));
  return name === 'plain' ? { panel: 8, relaxed: false, entry } : { panel: 16, relaxed: true, entry };
}

if (process.argv[1] === file) process.stdout.write(await compileKernel(build(process.argv[2] ?? '')));

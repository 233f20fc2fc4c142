/**
 * The kernel's source as WebAssembly: one AssemblyScript source, several modules (src/attention/wasm/kernel/README.md). The panel
 * width P and the use of fused multiply-add differ.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
export const kernelFolder = join(root, 'src/attention/wasm/kernel');
const TILES = 'tiles.generated.ts';

/** Rows of the register tile: 6 x 16 floats fill 12 of the 16 registers of 256 bits, 6 x 8 the same of 128 bits. */
const TILE_ROWS = 6;

export interface KernelBuild {
  /** P, the queries that one call of a micro-kernel handles: 8 or 16. */
  readonly panel: number;
  /** Fused multiply-add. */
  readonly relaxed: boolean;
  /** Another entry than the kernel's index.ts. */
  readonly entry?: string;
  /** The text that is compiled for a file of the kernel's folder. Default: what it holds. */
  readonly change?: (file: string, text: string) => string;
}

/** Compiles the kernel. Throws with the compiler's messages. */
export async function compileKernel(build: KernelBuild): Promise<Uint8Array<ArrayBuffer>> {
  const { panel, relaxed, entry = join(kernelFolder, 'index.ts'), change = (_, text) => text } = build;
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    [
      entry,
      '--outFile',
      'kernel.wasm',
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
      '--enable',
      'threads',
      ...(relaxed ? ['--enable', 'relaxed-simd'] : []),
      '--importMemory',
      '--sharedMemory',
      '--initialMemory',
      '1',
      '--maximumMemory',
      '65536',
    ],
    {
      readFile(name, base) {
        const path = resolve(base, name);
        if (path === join(kernelFolder, TILES)) return change(TILES, tiles(panel));
        try {
          const text = readFileSync(path, 'utf8');
          return path.startsWith(kernelFolder) ? change(path.slice(kernelFolder.length + 1), text) : text;
        } catch {
          return null;
        }
      },
      writeFile(_, contents) {
        if (typeof contents !== 'string') binary = new Uint8Array(contents);
      },
    },
  );
  if (error ?? !binary) throw new Error(`the kernel does not compile:\n${stderr}`, { cause: error });
  return binary;
}

/**
 * The micro-kernels, unrolled: C [rows, P] (+)= A [rows, K] B [K, P]. `score` reads A with its K axis contiguous (keys), and
 * starts from zero; `value` reads A with its row axis contiguous (values) and adds to C. `gradient` sums over queries: A is panels
 * of P queries, `stepA` apart, B the rows of the queries, C the rows of the keys, P of their columns.
 */
export function tiles(panel: number): string {
  const vectors = panel / 4;
  const each = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join('');
  const tile = (name: 'score' | 'value', rows: number) => {
    const score = name === 'score';
    const cells = (line: (i: number, j: number) => string) => each(rows, (i) => each(vectors, (j) => line(i, j)));
    return `
export function ${name}Tile${rows}(A: usize, strideA: usize, B: usize, C: usize, K: i32): void {
${score ? each(rows, (i) => `  let a${i}: usize = A + ${i} * strideA;\n`) : '  let a: usize = A;\n'}\
${cells((i, j) => `  let c${i}_${j} = ${score ? 'f32x4.splat(0)' : `v128.load(C, ${(i * vectors + j) * 16})`};\n`)}\
  let b: usize = B;
  for (let k: i32 = 0; k < K; k++) {
${each(vectors, (j) => `    const b${j} = v128.load(b, ${j * 16});\n`)}\
${each(
  rows,
  (i) =>
    (score
      ? `    const x${i} = v128.load32_splat(a${i});\n    a${i} += 4;\n`
      : `    const x${i} = v128.load32_splat(a, ${i * 4});\n`) +
    each(vectors, (j) => `    c${i}_${j} = fma(x${i}, b${j}, c${i}_${j});\n`),
)}\
    b += ${panel * 4};
${score ? '' : '    a += strideA;\n'}\
  }
${cells((i, j) => `  v128.store(C, c${i}_${j}, ${(i * vectors + j) * 16});\n`)}\
}
`;
  };
  const gradient = (rows: number) => {
    const cells = (line: (i: number, j: number) => string) => each(rows, (i) => each(vectors, (j) => line(i, j)));
    const start = (i: number) => (i === 0 ? 'C' : `C + ${i} * strideC`);
    return `
export function gradientTile${rows}(A: usize, stepA: usize, count: i32, B: usize, strideB: usize, C: usize, strideC: usize): void {
${cells((i, j) => `  let c${i}_${j} = v128.load(${start(i)}, ${j * 16});\n`)}\
  let b: usize = B;
  for (; count > 0; count -= P) {
    const n = min(count, P);
    let a: usize = A;
    for (let k: i32 = 0; k < n; k++) {
${each(vectors, (j) => `      const b${j} = v128.load(b, ${j * 16});\n`)}\
${each(
  rows,
  (i) =>
    `      const x${i} = v128.load32_splat(a, ${i * panel * 4});\n` +
    each(vectors, (j) => `      c${i}_${j} = fma(x${i}, b${j}, c${i}_${j});\n`),
)}\
      a += 4;
      b += strideB;
    }
    A += stepA;
  }
${cells((i, j) => `  v128.store(${start(i)}, c${i}_${j}, ${j * 16});\n`)}\
}
`;
  };
  const sizes = Array.from({ length: TILE_ROWS }, (_, i) => i + 1);
  const dispatch = (name: string) => `
export function ${name}Remainder(rows: i32, A: usize, strideA: usize, B: usize, C: usize, K: i32): void {
${sizes
  .slice(0, -1)
  .map((rows) => `  ${rows > 1 ? 'else ' : ''}if (rows == ${rows}) ${name}Tile${rows}(A, strideA, B, C, K);\n`)
  .join('')}}
`;
  return `// Written by scripts/build-wasm.ts.
import { fma } from './vector';

/** Width of a panel: the queries that one micro-kernel call handles. */
export const P: i32 = ${panel};
export const TILE_ROWS: i32 = ${TILE_ROWS};
${sizes.map((rows) => tile('score', rows) + tile('value', rows) + gradient(rows)).join('')}${dispatch('score')}${dispatch('value')}
export function gradientRemainder(
  rows: i32, A: usize, stepA: usize, count: i32, B: usize, strideB: usize, C: usize, strideC: usize,
): void {
${sizes
  .slice(0, -1)
  .map(
    (rows) =>
      `  ${rows > 1 ? 'else ' : ''}if (rows == ${rows}) gradientTile${rows}(A, stepA, count, B, strideB, C, strideC);\n`,
  )
  .join('')}}
`;
}

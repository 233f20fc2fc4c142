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
 * The micro-kernels, unrolled: C [rows, P] (+)= A [rows, K] B [K, P]. `score` is for rows of keys A, the panel of queries B and starts
 * from zero. `value` adds to C, rows of queries and P of their columns: A is a panel of probabilities with its queries adjacent, B rows of
 * values. `gradient` sums over queries: A is panels of P queries, `stepA` apart, B the rows of the queries, C the rows of the keys,
 * P of their columns.
 */
export function tiles(panel: number): string {
  const vectors = panel / 4;
  const each = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join('');
  const cells = (rows: number, line: (i: number, j: number) => string) =>
    each(rows, (i) => each(vectors, (j) => line(i, j)));
  // Of two adjacent vectors the upper one first: see storePair() in vector.ts.
  const stores = (rows: number, place: (i: number) => [to: string, vector: number]) =>
    cells(rows, (i, j) => `  v128.store(${place(i)[0]}, c${i}_${j ^ 1}, ${(place(i)[1] + (j ^ 1)) * 16});\n`);
  const score = (rows: number) => `
export function scoreTile${rows}(A: usize, strideA: usize, B: usize, C: usize, K: i32): void {
${each(rows, (i) => `  let a${i}: usize = A + ${i} * strideA;\n`)}\
${cells(rows, (i, j) => `  let c${i}_${j} = f32x4.splat(0);\n`)}\
  let b: usize = B;
  for (let k: i32 = 0; k < K; k++) {
${each(vectors, (j) => `    const b${j} = v128.load(b, ${j * 16});\n`)}\
${each(
  rows,
  (i) =>
    `    const x${i} = v128.load32_splat(a${i});\n    a${i} += 4;\n` +
    each(vectors, (j) => `    c${i}_${j} = fma(x${i}, b${j}, c${i}_${j});\n`),
)}\
    b += ${panel * 4};
  }
${stores(rows, (i) => ['C', i * vectors])}\
}
`;
  const value = (rows: number) => {
    const start = (i: number) => (i === 0 ? 'C' : `C + ${i} * strideC`);
    return `
export function valueTile${rows}(A: usize, B: usize, strideB: usize, C: usize, strideC: usize, K: i32): void {
${cells(rows, (i, j) => `  let c${i}_${j} = v128.load(${start(i)}, ${j * 16});\n`)}\
  let a: usize = A;
  let b: usize = B;
  for (let k: i32 = 0; k < K; k++) {
${each(vectors, (j) => `    const b${j} = v128.load(b, ${j * 16});\n`)}\
${each(
  rows,
  (i) =>
    `    const x${i} = v128.load32_splat(a, ${i * 4});\n` +
    each(vectors, (j) => `    c${i}_${j} = fma(x${i}, b${j}, c${i}_${j});\n`),
)}\
    a += ${panel * 4};
    b += strideB;
  }
${stores(rows, (i) => [start(i), 0])}\
}
`;
  };
  const gradient = (rows: number) => {
    const start = (i: number) => (i === 0 ? 'C' : `C + ${i} * strideC`);
    return `
export function gradientTile${rows}(A: usize, stepA: usize, count: i32, B: usize, strideB: usize, C: usize, strideC: usize): void {
${cells(rows, (i, j) => `  let c${i}_${j} = v128.load(${start(i)}, ${j * 16});\n`)}\
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
${stores(rows, (i) => [start(i), 0])}\
}
`;
  };
  const sizes = Array.from({ length: TILE_ROWS }, (_, i) => i + 1);
  const choose = (call: (rows: number) => string) =>
    each(TILE_ROWS - 1, (i) => `  ${i > 0 ? 'else ' : ''}if (rows == ${i + 1}) ${call(i + 1)};\n`);
  // A panel's queries are shared out among tiles that all have eight sums or more to fill the multipliers with.
  const valueRows = panel === 16 ? [6, 6, 4] : [4, 4];
  const firstRow = (i: number) => valueRows.slice(0, i).reduce((sum, rows) => sum + rows, 0);
  return `// Written by scripts/build-wasm.ts.
import { fma } from './vector';

/** Width of a panel: the queries that one micro-kernel call handles. */
export const P: i32 = ${panel};
export const TILE_ROWS: i32 = ${TILE_ROWS};
${sizes.map((rows) => score(rows) + gradient(rows)).join('')}${[...new Set(valueRows)].map(value).join('')}
export function valuePanel(A: usize, B: usize, strideB: usize, C: usize, strideC: usize, K: i32): void {
${valueRows
  .map(
    (rows, i) => `  valueTile${rows}(A + ${4 * firstRow(i)}, B, strideB, C + ${firstRow(i)} * strideC, strideC, K);\n`,
  )
  .join('')}}

export function scoreRemainder(rows: i32, A: usize, strideA: usize, B: usize, C: usize, K: i32): void {
${choose((rows) => `scoreTile${rows}(A, strideA, B, C, K)`)}}

export function gradientRemainder(
  rows: i32, A: usize, stepA: usize, count: i32, B: usize, strideB: usize, C: usize, strideC: usize,
): void {
${choose((rows) => `gradientTile${rows}(A, stepA, count, B, strideB, C, strideC)`)}}
`;
}

/**
 * Compiles the attention kernels: `node scripts/build-wasm.ts`. One AssemblyScript source, three modules (see
 * src/attention/wasm/kernel/README.md): the panel width P and the use of fused multiply-add differ.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const kernel = join(root, 'src/attention/wasm/kernel');
const output = join(root, 'src/attention/wasm/build');

/** Rows of the register tile: 6 x 16 floats fill 12 of the 16 registers of 256 bits, 6 x 8 the same of 128 bits. */
const TILE_ROWS = 6;

const builds = [
  { name: 'baseline', panel: 8, relaxed: false },
  { name: 'relaxed', panel: 8, relaxed: true },
  { name: 'merged', panel: 16, relaxed: true },
];

/**
 * The micro-kernels, unrolled: C [rows, P] (+)= A [rows, K] B [K, P]. `score` reads A with its K axis contiguous (keys), and
 * starts from zero; `value` reads A with its row axis contiguous (values) and adds to C. `gradient` sums over queries: A is panels
 * of P queries, `stepA` apart, B the rows of the queries, C the rows of the keys, P of their columns.
 */
function tiles(panel: number): string {
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

mkdirSync(output, { recursive: true });
for (const build of builds) {
  writeFileSync(join(kernel, 'tiles.generated.ts'), tiles(build.panel));
  const { error, stderr } = await asc.main([
    join(kernel, 'index.ts'),
    '--outFile',
    join(output, `${build.name}.wasm`),
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--enable',
    'simd',
    '--enable',
    'threads',
    ...(build.relaxed ? ['--enable', 'relaxed-simd'] : []),
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '1',
    '--maximumMemory',
    '65536',
  ]);
  if (error) {
    console.error(stderr.toString());
    throw error;
  }
}

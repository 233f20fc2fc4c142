/**
 * Matrix products in WebAssembly SIMD for the one model that runs in the page: y = x W^T, with W packed once. The module is some
 * 300 bytes, made here; an engine for whole graphs (onnxruntime-web) is 14 MB.
 *
 * The micro-kernel keeps 4 rows x 8 columns of y in 8 vectors; for each number of the inner axis it loads 8 numbers of W, which
 * stand together, and one of each row of x. On one thread that is about ten times a product in plain TypeScript.
 */
import { hasRelaxedSimd } from '../../../../src/attention/wasm/platform.ts';
import { Body, encodeModule, I32, SIMD, V128 } from '../../../../src/attention/wasm/score/assembler.ts';

/** Rows of x and columns of y that the micro-kernel computes at once. */
const [ROWS, COLUMNS] = [4, 8];

/** W [outputs, inputs] at an address of the memory, in panels of 8 outputs: [panel][input][8]; outputs beyond the last are zero. */
export interface Packed {
  readonly address: number;
  readonly outputs: number;
  readonly inputs: number;
}

/** Columns of y, and outputs of packed weights. */
export function paddedColumns(outputs: number): number {
  return Math.ceil(outputs / COLUMNS) * COLUMNS;
}

/** Writes `weights` [outputs, inputs] to `target` [paddedColumns(outputs) * inputs] in panels. */
export function pack(weights: Float32Array, outputs: number, inputs: number, target: Float32Array): void {
  for (let output = 0; output < outputs; output++) {
    const panel = Math.floor(output / COLUMNS) * COLUMNS * inputs + (output % COLUMNS);
    for (let input = 0; input < inputs; input++) target[panel + input * COLUMNS] = weights[output * inputs + input];
  }
}

/** Rows for which x and y must have room. */
export function paddedRows(rows: number): number {
  return Math.ceil(rows / ROWS) * ROWS;
}

/** x [rows, inputs] at address x times W^T to y [rows, paddedColumns(outputs)] at address y; both have room for paddedRows(). */
export type Product = (x: number, weights: Packed, y: number, rows: number) => void;

/** Products on data in `memory`, which is shared. */
export async function createProduct(memory: WebAssembly.Memory): Promise<Product> {
  const bytes = encodeModule({ imports: [], functions: [{ name: 'panel', body: panelBody(hasRelaxedSimd()) }] });
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const panel = instance.exports.panel as (...numbers: number[]) => void;
  return (x, { address, outputs, inputs }, y, rows) => {
    const [width, groups] = [paddedColumns(outputs), paddedRows(rows) / ROWS];
    if (groups === 0) return;
    for (let column = 0; column < outputs; column += COLUMNS) {
      panel(x, 4 * inputs, address + 4 * column * inputs, y + 4 * column, 4 * width, groups);
    }
  };
}

/** One panel of 8 columns: (x, bytes of a row of x, weights, y, bytes of a row of y, groups of 4 rows). */
function panelBody(isFused: boolean): Body {
  const body = new Body({ parameters: [I32, I32, I32, I32, I32, I32], results: [] });
  const [x, xStride, weights, y, yStride, groups] = [0, 1, 2, 3, 4, 5];
  const [weight, end] = [body.local(I32), body.local(I32)];
  const halves = [body.local(V128), body.local(V128)];
  const rows = Array.from({ length: ROWS }, () => ({
    from: body.local(I32),
    sums: halves.map(() => body.local(V128)),
  }));
  const move = (local: number, by: () => void): void => {
    body.get(local);
    by();
    body.i32Add();
  };
  body.loop(() => {
    for (const [i, { from, sums }] of rows.entries()) {
      if (i === 0) body.get(x);
      else move(rows[i - 1].from, () => body.get(xStride));
      body.set(from);
      for (const sum of sums) {
        body.floats(0, 0, 0, 0);
        body.set(sum);
      }
    }
    body.get(weights);
    body.set(weight);
    move(x, () => body.get(xStride));
    body.set(end);
    body.loop(() => {
      for (const [half, vector] of halves.entries()) {
        body.get(weight);
        body.load(16 * half);
        body.set(vector);
      }
      for (const { from, sums } of rows) {
        for (const [half, sum] of sums.entries()) {
          if (!isFused) body.get(sum);
          body.get(from);
          body.simd(SIMD.loadSplat, 2, 0);
          body.get(halves[half]);
          if (isFused) body.get(sum);
          if (isFused) body.simd(SIMD.multiplyAdd);
          else {
            body.simd(SIMD.mul);
            body.simd(SIMD.add);
          }
          body.set(sum);
        }
        move(from, () => body.i32(4));
        body.set(from);
      }
      move(weight, () => body.i32(4 * COLUMNS));
      body.set(weight);
      body.get(rows[0].from);
      body.get(end);
      body.i32LessUnsigned();
    });
    for (const { sums } of rows) {
      for (const [half, sum] of sums.entries()) {
        body.get(y);
        body.get(sum);
        body.store(16 * half);
      }
      move(y, () => body.get(yStride));
      body.set(y);
    }
    // Each row has come to its end; the next group begins where the last row of this one did.
    body.get(rows[ROWS - 1].from);
    body.set(x);
    move(groups, () => body.i32(-1));
    body.tee(groups);
  });
  return body;
}

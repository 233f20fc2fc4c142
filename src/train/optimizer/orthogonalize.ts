/**
 * The nearest matrix with orthonormal rows or columns, roughly: Newton-Schulz iteration as Jordan 2024 ("Muon: An optimizer for hidden
 * layers in neural networks") tuned it. X = U S V^T keeps U and V, and each singular value s passes through
 *
 *     s -> a s + b s^3 + c s^5        (a, b, c) = (3.4445, -4.7750, 2.0315)
 *
 * five times: all that are not tiny come to between 0.7 and 1.2, which serves as well as 1. A step is X' = a X + (b A + c A A) X with A = X X^T.
 */

const [A, B, C] = [3.4445, -4.775, 2.0315];
const STEPS = 5;

/**
 * Row-major `matrix` [rows, columns] to a new one. In float64, on one thread: some 5 r^2 (3 c + r) operations, r the shorter side
 * and c the longer.
 */
export function orthogonalize(matrix: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const wide = rows <= columns;
  let x = wide ? Float64Array.from(matrix) : transposed(matrix, rows, columns);
  const [r, c] = wide ? [rows, columns] : [columns, rows];
  let squares = 0;
  for (let i = 0; i < x.length; i++) squares += x[i] * x[i];
  const scale = 1 / (Math.sqrt(squares) + 1e-7);
  for (let i = 0; i < x.length; i++) x[i] *= scale;
  for (let step = 0; step < STEPS; step++) {
    const a = timesOwnTranspose(x, r, c);
    // A is symmetric, so A A is A times its transpose.
    const polynomial = timesOwnTranspose(a, r, r);
    for (let i = 0; i < polynomial.length; i++) polynomial[i] = C * polynomial[i] + B * a[i];
    for (let i = 0; i < r; i++) polynomial[i * r + i] += A;
    x = product(polynomial, x, r, c);
  }
  return wide ? x : transposed(x, columns, rows);
}

function transposed(matrix: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = matrix[row * columns + column];
  }
  return result;
}

/** x [rows, columns] times its transpose, one half from the other; four rows by two at a time, which keeps eight sums in registers. */
function timesOwnTranspose(x: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * rows);
  const sums = new Float64Array(8);
  const start = (row: number): number => Math.min(row, rows - 1) * columns;
  for (let i = 0; i < rows; i += 4) {
    for (let j = 0; j < i + 4 && j < rows; j += 2) {
      dotProducts(x, start(i), start(i + 1), start(i + 2), start(i + 3), start(j), start(j + 1), columns, sums);
      for (let at = 0; at < 8; at++) {
        const [row, column] = [i + (at >> 1), j + (at & 1)];
        if (row >= rows || column >= rows) continue;
        result[row * rows + column] = sums[at];
        result[column * rows + row] = sums[at];
      }
    }
  }
  return result;
}

function dotProducts(
  x: Float64Array,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
  length: number,
  sums: Float64Array,
): void {
  let ae = 0;
  let af = 0;
  let be = 0;
  let bf = 0;
  let ce = 0;
  let cf = 0;
  let de = 0;
  let df = 0;
  for (let k = 0; k < length; k++) {
    const xe = x[e + k];
    const xf = x[f + k];
    ae += x[a + k] * xe;
    af += x[a + k] * xf;
    be += x[b + k] * xe;
    bf += x[b + k] * xf;
    ce += x[c + k] * xe;
    cf += x[c + k] * xf;
    de += x[d + k] * xe;
    df += x[d + k] * xf;
  }
  sums[0] = ae;
  sums[1] = af;
  sums[2] = be;
  sums[3] = bf;
  sums[4] = ce;
  sums[5] = cf;
  sums[6] = de;
  sums[7] = df;
}

/** p [rows, rows] times x [rows, columns], four terms of each sum at a time. */
function product(p: Float64Array, x: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * columns);
  const whole = rows - (rows % 4);
  for (let j = 0; j < whole; j += 4) {
    for (let i = 0; i < rows; i++) addFour(result, i * columns, p, i * rows + j, x, j * columns, columns);
  }
  for (let j = whole; j < rows; j++) {
    for (let i = 0; i < rows; i++) addOne(result, i * columns, p[i * rows + j], x, j * columns, columns);
  }
  return result;
}

function addFour(
  result: Float64Array,
  out: number,
  p: Float64Array,
  at: number,
  x: Float64Array,
  x0: number,
  columns: number,
): void {
  const p0 = p[at];
  const p1 = p[at + 1];
  const p2 = p[at + 2];
  const p3 = p[at + 3];
  const x1 = x0 + columns;
  const x2 = x1 + columns;
  const x3 = x2 + columns;
  for (let k = 0; k < columns; k++) {
    result[out + k] += p0 * x[x0 + k] + p1 * x[x1 + k] + p2 * x[x2 + k] + p3 * x[x3 + k];
  }
}

function addOne(
  result: Float64Array,
  out: number,
  factor: number,
  x: Float64Array,
  from: number,
  columns: number,
): void {
  for (let k = 0; k < columns; k++) result[out + k] += factor * x[from + k];
}

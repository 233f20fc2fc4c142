/**
 * All eigenvalues of a symmetric n x n matrix, ascending: Householder reduction to tridiagonal form, then the implicit QL
 * method (Golub and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3). About 4/3 n^3 operations; `matrix` is
 * overwritten.
 */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n);
  tridiagonalize(matrix, n, diagonal, beside);
  implicitQl(diagonal, beside);
  return diagonal.sort();
}

/** `beside[i]` is the entry between i and i + 1; the last is 0. */
function tridiagonalize(a: Float64Array, n: number, diagonal: Float64Array, beside: Float64Array): void {
  const v = new Float64Array(n);
  const p = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    diagonal[k] = a[k * n + k] ?? 0;
    let squares = 0;
    for (let i = k + 1; i < n; i++) squares += (a[i * n + k] ?? 0) ** 2;
    const first = a[(k + 1) * n + k] ?? 0;
    const norm = Math.sqrt(squares);
    const alpha = first > 0 ? -norm : norm;
    beside[k] = alpha;
    // v = x - alpha e1, and the reflection I - 2 v v^T / (v^T v) turns the column x into alpha e1.
    const vv = 2 * (squares - first * alpha);
    if (vv === 0) continue;
    for (let i = k + 1; i < n; i++) v[i] = a[i * n + k] ?? 0;
    v[k + 1] = first - alpha;
    const factor = 2 / vv;
    let vp = 0;
    for (let i = k + 1; i < n; i++) {
      let sum = 0;
      const row = i * n;
      for (let j = k + 1; j < n; j++) sum += (a[row + j] ?? 0) * (v[j] ?? 0);
      p[i] = factor * sum;
      vp += (v[i] ?? 0) * (p[i] ?? 0);
    }
    const half = (factor * vp) / 2;
    for (let i = k + 1; i < n; i++) p[i] = (p[i] ?? 0) - half * (v[i] ?? 0);
    for (let i = k + 1; i < n; i++) {
      const row = i * n;
      const vi = v[i] ?? 0;
      const pi = p[i] ?? 0;
      for (let j = k + 1; j < n; j++) a[row + j] = (a[row + j] ?? 0) - vi * (p[j] ?? 0) - pi * (v[j] ?? 0);
    }
  }
  if (n > 0) diagonal[n - 1] = a[n * n - 1] ?? 0;
}

function implicitQl(d: Float64Array, e: Float64Array): void {
  const n = d.length;
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; sweep < 60; sweep++) {
      let m = l;
      while (m < n - 1) {
        const scale = Math.abs(d[m] ?? 0) + Math.abs(d[m + 1] ?? 0);
        if (Math.abs(e[m] ?? 0) <= Number.EPSILON * scale) break;
        m++;
      }
      if (m === l) break;
      // Wilkinson's shift from the top 2 x 2, then Givens rotations chase the bulge from m up to l.
      const dl = d[l] ?? 0;
      const el = e[l] ?? 0;
      let g = ((d[l + 1] ?? 0) - dl) / (2 * el);
      let r = Math.hypot(g, 1);
      g = (d[m] ?? 0) - dl + el / (g + (g >= 0 ? r : -r));
      let s = 1;
      let c = 1;
      let p = 0;
      let i = m - 1;
      for (; i >= l; i--) {
        const f = s * (e[i] ?? 0);
        const b = c * (e[i] ?? 0);
        r = Math.hypot(f, g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1] = (d[i + 1] ?? 0) - p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = (d[i + 1] ?? 0) - p;
        r = ((d[i] ?? 0) - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
      }
      if (r === 0 && i >= l) continue;
      d[l] = (d[l] ?? 0) - p;
      e[l] = g;
      e[m] = 0;
    }
  }
}

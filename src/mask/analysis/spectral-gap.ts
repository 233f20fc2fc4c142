import type { Estimate } from './estimate.ts';
import { exactly } from './estimate.ts';
import type { Laplacian } from './laplacian.ts';
import { seededRandom } from './random.ts';
import { symmetricEigenvalues } from './symmetric-eigenvalues.ts';

/** The search ends at a residual of this share of the value, or after so many steps. */
const RELATIVE_ERROR = 1e-4;
const LEAST_ERROR = 1e-12;
const MAX_STEPS = 200;

/** The second smallest eigenvalue of the normalized Laplacian from all of them. Time n^3. */
export function exactSpectralGap(laplacian: Laplacian): Estimate {
  const eigenvalues = symmetricEigenvalues(laplacian.toDense(), laplacian.nodes);
  return exactly(Math.max(0, eigenvalues[1] ?? 0));
}

/**
 * The same for a connected graph that is too large for that: the locally optimal conjugate gradient method of Knyazev
 * (Toward the Optimal Preconditioned Eigensolver, SIAM J. Sci. Comput. 2001, algorithm 4.1, without a preconditioner) on the
 * vectors orthogonal to the kernel. Each step takes the best vector in the plane of the last one, its residual and the last
 * direction. It starts from a slow wave over the positions, which local patterns nearly keep, and seeded noise. The value is
 * a Rayleigh quotient, so never below the gap; `error` is the norm of the residual, within which an eigenvalue lies.
 */
export function estimateSpectralGap(laplacian: Laplacian, seed: number): Estimate {
  const n = laplacian.nodes;
  const random = seededRandom(seed);
  const kernel = laplacian.kernel();
  const x = kernel.map((own, i) => own * (Math.cos((Math.PI * (i + 0.5)) / n) + 0.01 * (random() - 0.5)));
  orthogonalize(x, [kernel]);
  const lx = new Float64Array(n);
  laplacian.apply(x, lx);
  let direction: Float64Array | undefined;
  let value = dot(x, lx);
  let error = Infinity;
  for (let step = 0; step < MAX_STEPS; step++) {
    const residual = lx.map((own, i) => own - value * (x[i] ?? 0));
    error = Math.sqrt(dot(residual, residual));
    if (error <= Math.max(LEAST_ERROR, RELATIVE_ERROR * value)) break;
    const basis: Float64Array[] = [x];
    for (const vector of direction === undefined ? [residual] : [residual, direction]) {
      if (orthogonalize(vector, [kernel, ...basis])) basis.push(vector);
    }
    if (basis.length === 1) break;
    const images = basis.map((vector, i) => {
      if (i === 0) return lx;
      const image = new Float64Array(n);
      laplacian.apply(vector, image);
      return image;
    });
    const weights = smallestEigenvector(basis.map((a) => images.map((image) => dot(a, image))));
    // The part of the new vector that is not along the old one is the next direction.
    direction = combine(basis.slice(1), weights.slice(1));
    x.set(combine(basis, weights));
    lx.set(combine(images, weights));
    if (step % 16 === 15) {
      orthogonalize(x, [kernel]);
      laplacian.apply(x, lx);
    }
    value = dot(x, lx);
  }
  return { value, error };
}

/** Makes `vector` a unit vector orthogonal to unit vectors that are so to each other; false where nothing is left of it. */
function orthogonalize(vector: Float64Array, against: readonly Float64Array[]): boolean {
  const before = Math.sqrt(dot(vector, vector));
  // Twice is enough (Parlett, The Symmetric Eigenvalue Problem, section 6.9).
  for (let pass = 0; pass < 2; pass++) {
    for (const other of against) {
      const along = dot(vector, other);
      for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) - along * (other[i] ?? 0);
    }
  }
  const norm = Math.sqrt(dot(vector, vector));
  if (norm <= 1e-10 * before) return false;
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / norm;
  return true;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function combine(vectors: readonly Float64Array[], weights: readonly number[]): Float64Array {
  const result = new Float64Array(vectors[0]?.length ?? 0);
  for (const [v, vector] of vectors.entries()) {
    const weight = weights[v] ?? 0;
    for (let i = 0; i < result.length; i++) result[i] = (result[i] ?? 0) + weight * (vector[i] ?? 0);
  }
  return result;
}

/** The unit eigenvector of the smallest eigenvalue of a symmetric matrix of 2 or 3 rows, by Jacobi's rotations. */
function smallestEigenvector(matrix: readonly (readonly number[])[]): number[] {
  const n = matrix.length;
  const a = Float64Array.from(matrix.flatMap((row, i) => row.map((own, j) => (own + (matrix[j]?.[i] ?? 0)) / 2)));
  const vectors = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  const at = (array: Float64Array, i: number, j: number): number => array[i * n + j] ?? 0;
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n - 1; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = at(a, p, q);
        if (off === 0) continue;
        const theta = (at(a, q, q) - at(a, p, p)) / (2 * off);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (const array of [a, vectors]) {
          for (let i = 0; i < n; i++) {
            const ip = at(array, i, p);
            const iq = at(array, i, q);
            array[i * n + p] = c * ip - s * iq;
            array[i * n + q] = s * ip + c * iq;
          }
        }
        for (let i = 0; i < n; i++) {
          const pi = at(a, p, i);
          const qi = at(a, q, i);
          a[p * n + i] = c * pi - s * qi;
          a[q * n + i] = s * pi + c * qi;
        }
      }
    }
  }
  let best = 0;
  for (let i = 1; i < n; i++) if (at(a, i, i) < at(a, best, best)) best = i;
  return Array.from({ length: n }, (_, i) => at(vectors, i, best));
}

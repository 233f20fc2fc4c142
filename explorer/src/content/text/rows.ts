/** What a transformer does row by row between its products, in TypeScript. Sums are float64. */

/** x / sqrt(mean(x^2) + epsilon) * weight, row by row (Zhang and Sennrich, "Root Mean Square Layer Normalization", equation 4). */
export function rmsNorm(
  x: Float32Array,
  weight: Float32Array,
  epsilon: number,
  rows: number,
  result: Float32Array,
): void {
  const size = weight.length;
  for (let start = 0; start < rows * size; start += size) {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += x[start + i] * x[start + i];
    const factor = 1 / Math.sqrt(sum / size + epsilon);
    for (let i = 0; i < size; i++) result[start + i] = x[start + i] * factor * weight[i];
  }
}

export interface Angles {
  /** [rows, D/2] */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly half: number;
}

/** cos and sin of position * base^(-2 i / width) for each position and i. */
export function rotaryAngles(rows: number, width: number, base: number): Angles {
  const half = width / 2;
  const angle = (at: number): number => Math.floor(at / half) * base ** ((-2 * (at % half)) / width);
  const make = (f: (x: number) => number) => Float32Array.from({ length: rows * half }, (_, at) => f(angle(at)));
  return { cos: make(Math.cos), sin: make(Math.sin), half };
}

/**
 * Rotary embedding (Su et al., "RoFormer", equation 34), the two halves of a head as the pairs: `heads` heads from column `first` of
 * x [rows, stride] to result [rows, heads, D].
 */
export function rotate(
  x: Float32Array,
  stride: number,
  first: number,
  rows: number,
  heads: number,
  { cos, sin, half }: Angles,
  result: Float32Array,
): void {
  let to = 0;
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++, to += 2 * half) {
      const from = row * stride + first + head * 2 * half;
      for (let i = 0; i < half; i++) {
        const [c, s] = [cos[row * half + i], sin[row * half + i]];
        const [a, b] = [x[from + i], x[from + half + i]];
        result[to + i] = a * c - b * s;
        result[to + half + i] = b * c + a * s;
      }
    }
  }
}

/** Columns first .. first + columns - 1 of x [rows, stride]. */
export function copyColumns(
  x: Float32Array,
  stride: number,
  first: number,
  rows: number,
  columns: number,
  result: Float32Array,
): void {
  for (let row = 0; row < rows; row++) {
    const start = row * stride + first;
    result.set(x.subarray(start, start + columns), row * columns);
  }
}

/** Adds x [rows, stride] to sums [rows, columns]. */
export function addColumns(x: Float32Array, stride: number, rows: number, columns: number, sums: Float32Array): void {
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) sums[row * columns + i] += x[row * stride + i];
  }
}

/** silu(gate) * up of [gate, up] [rows, stride] (Shazeer, "GLU Variants Improve Transformer", equation 6). */
export function gate(x: Float32Array, stride: number, rows: number, inner: number, result: Float32Array): void {
  for (let row = 0; row < rows; row++) {
    const start = row * stride;
    for (let i = 0; i < inner; i++) {
      const own = x[start + i];
      result[row * inner + i] = (own / (1 + Math.exp(-own))) * x[start + inner + i];
    }
  }
}

/** -log softmax(logits)[next id] of each row but the last; logits [rows, stride], of which `vocabulary` columns count. */
export function lossesOf(logits: Float32Array, stride: number, vocabulary: number, ids: Int32Array): Float32Array {
  return Float32Array.from({ length: ids.length - 1 }, (_, row) => {
    const own = logits.subarray(row * stride, row * stride + vocabulary);
    let most = Number.NEGATIVE_INFINITY;
    for (const logit of own) most = Math.max(most, logit);
    let sum = 0;
    for (const logit of own) sum += Math.exp(logit - most);
    return most + Math.log(sum) - own[ids[row + 1]];
  });
}

/** What config.json says of a classifier's classes. */
import type { HeadModel } from '../model/index.ts';

/** The name of each of `count` classes: `id2label`, else LABEL_0, LABEL_1, ..., as transformers names them. */
export function labelsOf({ config }: Pick<HeadModel, 'config'>, count: number): string[] {
  const { id2label } = config;
  const names =
    typeof id2label === 'object' && id2label !== null ? (id2label as Readonly<Record<string, unknown>>) : {};
  return Array.from({ length: count }, (_, i) => {
    const name = Object.hasOwn(names, i) ? names[i] : undefined;
    return typeof name === 'string' ? name : `LABEL_${i}`;
  });
}

/** exp(x) over its sum, in float64. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  const shares = Float64Array.from(logits);
  const largest = shares.reduce((a, b) => Math.max(a, b), -Infinity);
  let total = 0;
  for (let i = 0; i < shares.length; i++) total += shares[i] = Math.exp((shares[i] ?? 0) - largest);
  return shares.map((share) => share / total);
}

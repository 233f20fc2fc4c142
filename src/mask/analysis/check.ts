import { ArgumentError } from '../../errors.ts';

/** Throws ArgumentError unless `value` is an integer from `least` to `most`. */
export function checkCount(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new ArgumentError(`${name} is ${String(value)}; it must be an integer ${range}`);
}

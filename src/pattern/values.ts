import { PatternError } from '../errors.ts';

/** Throws PatternError unless `value` is a safe integer of at least `least`. `name` is the path shown: `window left`, `of[1].left`. */
export function checkInteger(name: string, value: unknown, least = 0): void {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw new PatternError(`${name} is ${show(value)}; it must be an integer from ${least} to 2^53 - 1`);
  }
}

/** A short, printable form of any value, for error messages. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  return String(value);
}

export function checkList(name: string, value: unknown, least = 0): void {
  if (!Array.isArray(value) || value.length < least) {
    throw new PatternError(`${name} is ${show(value)}; it must be a list${least > 0 ? ` of at least ${least}` : ''}`);
  }
}

import type { ScoreModifier } from '../score/index.ts';
import { parametersOf } from './score/compile.ts';

/** Puts numbers into the kernels' memory; an Arena is one. */
export interface Placing {
  numbers(values: Float32Array): number;
  words(values: readonly number[]): number;
}

/** The block of parameters that the compiled expression reads: queryOffset, then each parameter's address and axes. */
export function placeModifier(
  placing: Placing,
  { expression, parameters = {} }: ScoreModifier,
  queryOffset: number,
): number {
  const words = [queryOffset];
  for (const name of parametersOf(expression))
    words.push(placing.numbers(parameters[name].data), ...parameters[name].shape);
  return placing.words(words);
}

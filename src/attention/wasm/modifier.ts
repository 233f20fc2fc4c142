import type { ScoreModifier } from '../score/index.ts';
import type { Arena } from './arena.ts';
import { parametersOf } from './score/compile.ts';

/** The block of parameters that the compiled expression reads: queryOffset, then each parameter's address and axes. */
export function placeModifier(
  arena: Arena,
  { expression, parameters = {} }: ScoreModifier,
  queryOffset: number,
): number {
  const words = [queryOffset];
  for (const name of parametersOf(expression))
    words.push(arena.numbers(parameters[name].data), ...parameters[name].shape);
  return arena.words(words);
}

import type { Expression } from './expression.ts';

/** Numbers that an expression looks up. */
export interface ScoreParameter {
  readonly data: Float32Array;
  /** One to four axes. */
  readonly shape: readonly number[];
}

/** An expression and the parameters that it names. */
export interface ScoreModifier {
  readonly expression: Expression;
  readonly parameters?: Readonly<Record<string, ScoreParameter>>;
}

/** A parameter's axes, at most. */
export const MAXIMUM_AXES = 4;

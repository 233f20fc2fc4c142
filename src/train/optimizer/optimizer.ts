/** What every optimizer is: a rule for one parameter, made for all of them. */
import { counted } from '../../counted.ts';
import { ArgumentError } from '../../errors.ts';
import type { Parameter } from '../trainable.ts';
import { checkRules, groupOf, type ParameterRule } from './groups.ts';

/** A tensor that an optimizer keeps from step to step, such as a moment. Saving reads `data`, resuming writes it. */
export interface StateTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Changes weights along gradients. It depends on nothing but what it is given, so the same calls give the same bits. */
export interface Optimizer {
  /** Steps taken so far. Resuming sets it. */
  steps: number;
  /** Everything else that it keeps, in a fixed order. */
  readonly state: readonly StateTensor[];
  /**
   * One step, in place. `gradients` has the order and the sizes of the parameters and is only read; each is multiplied by
   * `scale` first (default 1), which is where a loss scale is taken out and a norm is clipped.
   * @throws ArgumentError where the gradients are not those of the parameters, or a number is not finite.
   */
  step(gradients: readonly Float32Array[], learningRate: number, scale?: number): void;
}

/** Settings as they are saved. */
export type OptimizerSettings = Readonly<Record<string, number | boolean | readonly ParameterRule[]>>;

/** An optimizer before it knows its parameters. */
export interface OptimizerKind {
  readonly name: string;
  readonly settings: OptimizerSettings;
  create(parameters: readonly Parameter[]): Optimizer;
}

/** What all optimizers can be told. */
export interface CommonOptions {
  /** Decoupled weight decay: a weight w loses learningRate * weightDecay * w in each step. */
  readonly weightDecay?: number;
  /** Exceptions for single parameters, by name. */
  readonly rules?: readonly ParameterRule[];
}

/** What a step is told, the same for all elements of a parameter. */
export interface StepSize {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Factor on the gradient. */
  readonly scale: number;
  /** 1 in the first step. */
  readonly step: number;
}

/** The rule for one parameter, with its state. */
export interface ParameterUpdate {
  readonly state: readonly StateTensor[];
  update(gradient: Float32Array, size: StepSize): void;
}

/** An optimizer from its rule for one parameter. `defaultDecay` is the weight decay where `options` has none. */
export function optimizerOf(
  name: string,
  settings: Readonly<Record<string, number | boolean>>,
  { weightDecay, rules = [] }: CommonOptions & { readonly weightDecay: number },
  updateFor: (parameter: Parameter) => ParameterUpdate,
): OptimizerKind {
  checkNumber(name, 'weightDecay', weightDecay, 0, Infinity);
  checkRules(rules);
  return {
    name,
    settings: { ...settings, weightDecay, rules },
    create(parameters) {
      const updates = parameters.map((parameter) => ({
        parameter,
        group: groupOf(parameter, weightDecay, rules),
        ...updateFor(parameter),
      }));
      let steps = 0;
      return {
        state: updates.flatMap(({ state }) => state),
        get steps() {
          return steps;
        },
        set steps(taken: number) {
          steps = taken;
        },
        step(gradients, learningRate, scale = 1) {
          checkStep(name, parameters, gradients, learningRate, scale);
          steps++;
          for (const [i, { group, update }] of updates.entries()) {
            if (group.rate === 0) continue;
            const size = {
              learningRate: learningRate * group.rate,
              weightDecay: group.weightDecay,
              scale,
              step: steps,
            };
            update(gradients[i], size);
          }
        },
      };
    },
  };
}

/** Zeros that an optimizer keeps for a parameter. */
export function stateOf(parameter: Parameter, kind: string, shape = parameter.shape): StateTensor {
  const length = shape.reduce((product, side) => product * side, 1);
  return { name: `${kind}.${parameter.name}`, shape, data: new Float32Array(length) };
}

/** @throws ArgumentError unless the option is a number from `least` to below `below`. */
export function checkNumber(optimizer: string, option: string, value: number, least: number, below: number): void {
  if (value >= least && value < below) return;
  const range = below === Infinity ? `a finite number from ${least}` : `from ${least} to below ${below}`;
  throw new ArgumentError(`${optimizer}: ${option} is ${value}; it must be ${range}`);
}

function checkStep(
  name: string,
  parameters: readonly Parameter[],
  gradients: readonly Float32Array[],
  learningRate: number,
  scale: number,
): void {
  checkNumber(name, 'learningRate', learningRate, 0, Infinity);
  if (!Number.isFinite(scale)) throw new ArgumentError(`${name}: scale is ${scale}; it must be finite`);
  if (gradients.length !== parameters.length) {
    throw new ArgumentError(
      `${name}: ${counted(gradients.length, 'gradient')} for ${counted(parameters.length, 'parameter')}`,
    );
  }
  for (const [i, { name: parameter, data }] of parameters.entries()) {
    if (gradients[i].length === data.length) continue;
    throw new ArgumentError(
      `${name}: the gradient of "${parameter}" has ${counted(gradients[i].length, 'element')}; the parameter has ${data.length}`,
    );
  }
}

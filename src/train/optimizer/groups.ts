/** Which weights decay, and at which rate each learns. */
import { ArgumentError } from '../../errors.ts';
import type { Parameter } from '../trainable.ts';

/** An exception for the parameters of some names. */
export interface ParameterRule {
  /** A name in full, where * stands for any characters: "layers.0.*", "*.bias". The first rule that fits a name counts. */
  readonly names: string;
  /** Default: what the parameter has without a rule. */
  readonly weightDecay?: number;
  /** Factor on the learning rate; 0 freezes. Default 1. */
  readonly rate?: number;
}

/** What a parameter is treated with. */
export interface ParameterGroup {
  readonly weightDecay: number;
  readonly rate: number;
}

/**
 * Words of a name that mark an embedding. They stand between dots, slashes or underscores: wte and wpe are GPT-2's names,
 * positions is model/gpt.ts's, the rest those of BERT, Longformer and Llama.
 */
const EMBEDDING = /(^|[._/])(embed|embedding|embeddings|positions|wte|wpe)([._/]|$)/;

/**
 * Whether a parameter decays where no rule speaks of it: matrices do; vectors (biases and the weights of norms) and embeddings,
 * most of whose rows have no gradient in a step, do not.
 */
export function decaysByDefault({ name, shape }: Pick<Parameter, 'name' | 'shape'>): boolean {
  return shape.length >= 2 && !EMBEDDING.test(name);
}

/** How a parameter is treated under an optimizer's weight decay and its rules. */
export function groupOf(
  parameter: Pick<Parameter, 'name' | 'shape'>,
  weightDecay: number,
  rules: readonly ParameterRule[] = [],
): ParameterGroup {
  const rule = rules.find(({ names }) => fits(names, parameter.name));
  return {
    weightDecay: rule?.weightDecay ?? (decaysByDefault(parameter) ? weightDecay : 0),
    rate: rule?.rate ?? 1,
  };
}

/** @throws ArgumentError for a number that is negative or not finite. */
export function checkRules(rules: readonly ParameterRule[]): void {
  for (const { names, weightDecay = 0, rate = 1 } of rules) {
    for (const [option, value] of Object.entries({ weightDecay, rate })) {
      if (value >= 0 && value < Infinity) continue;
      throw new ArgumentError(`rules: ${option} for "${names}" is ${value}; it must be a finite number from 0`);
    }
  }
}

/** Whether a name is that of a pattern with * for any characters. */
function fits(names: string, name: string): boolean {
  const parts = names.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

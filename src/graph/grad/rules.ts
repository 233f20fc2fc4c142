import { ArgumentError } from '../../errors.ts';
import type { Node } from '../ir.ts';
import type { Rule } from './rule.ts';
import { elementwiseRules } from './rules-elementwise.ts';
import { linearRules } from './rules-linear.ts';
import { normalizationRules } from './rules-normalization.ts';
import { shapeRules } from './rules-shape.ts';

/** By operator; those of other domains with the domain before the name. */
export const gradientRules: Readonly<Record<string, Rule>> = {
  ...elementwiseRules,
  ...shapeRules,
  ...linearRules,
  ...normalizationRules,
};

/** @throws ArgumentError where the operator has none. */
export function ruleOf({ name, domain, operator }: Node): Rule {
  const key = domain === '' ? operator : `${domain}.${operator}`;
  const rule = Object.hasOwn(gradientRules, key) ? gradientRules[key] : undefined;
  if (rule === undefined) {
    throw new ArgumentError(
      `node ${name}: the operator ${key} has no gradient rule; these have: ${Object.keys(gradientRules).join(', ')}`,
    );
  }
  return rule;
}

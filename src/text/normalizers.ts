/** Normalizers: what is done to a text before it is split. */
import { isStep, type Step } from './definition.ts';

/**
 * An equivalent step that the library executes as the original does. JavaScript lowers a Σ at the end of a word to ς; the original lowers
 * letter by letter, always to σ. So Σ is lowered first.
 */
export function correctNormalizer(step: Step): Step {
  const lowers = step.type === 'Lowercase' || (step.type === 'BertNormalizer' && step.lowercase !== false);
  if (lowers) {
    const sigma: Step = { type: 'Replace', pattern: { String: 'Σ' }, content: 'σ' };
    return { type: 'Sequence', normalizers: [sigma, step] };
  }
  return step.type === 'Sequence' ? { ...step, normalizers: subSteps(step).map(correctNormalizer) } : step;
}

const LOCAL: ReadonlySet<string> = new Set(['NFC', 'NFD', 'Lowercase', 'BertNormalizer']);

/**
 * Whether a corrected normalizer gives the same for a text and for its parts, cut between an ASCII letter and ASCII white space: neither
 * composes with or looks at what is on the other side.
 */
export function isLocal(step: Step): boolean {
  if (step.type === 'Sequence') return subSteps(step).every(isLocal);
  return LOCAL.has(step.type) || (step.type === 'Replace' && step.content === 'σ');
}

function subSteps(step: Step): Step[] {
  return Array.isArray(step.normalizers) ? step.normalizers.filter(isStep) : [];
}

import type { Question as AdviceQuestion } from '../../../src/task/advise/index.ts';
import type { ShownPlan, Times } from './advice.ts';
import type { ShownFact, Subject } from './facts.ts';
import type { Fact } from './tour.ts';

/** What the section asks its worker. */
export type Question =
  | { readonly kind: 'facts'; readonly facts: readonly Fact[]; readonly subject: Subject }
  | { readonly kind: 'plan' | 'measure'; readonly question: AdviceQuestion };

export interface Answer {
  readonly facts?: readonly ShownFact[];
  readonly plan?: ShownPlan;
  readonly times?: Times;
}

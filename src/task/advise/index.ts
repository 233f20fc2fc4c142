export { type Advice, type Answer, advise } from './advise.ts';
export { decimalBytes } from './decimal-bytes.ts';
export type { LayerTime, MeasureOptions } from './measure.ts';
export { type Candidate, type Plan, planAttention, type Question, type Shape } from './plan.ts';
export { type Recommendation, type Task, tasks } from './recommendations.ts';
export type { Source } from './sources.ts';

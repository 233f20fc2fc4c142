/** Computes what stands beside a step of the tour, and the advisor's answer. */
import { answerPosts } from '../engine/worker-link.ts';
import { measure, plan } from './advice.ts';
import { computeFacts } from './facts.ts';
import type { Answer, Question } from './questions.ts';

answerPosts<Question, Answer>(async (question, onShare) => {
  if (question.kind === 'facts') return { facts: computeFacts(question.facts, question.subject) };
  if (question.kind === 'plan') return { plan: plan(question.question) };
  return { times: await measure(question.question, onShare) };
});

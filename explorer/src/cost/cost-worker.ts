import { answerInParts } from '../background.ts';
import { type CostPart, type CostQuestion, costCurve } from './cost-curve.ts';

answerInParts((question: CostQuestion, send: (part: CostPart) => void) => {
  for (const part of costCurve(question)) send(part);
});

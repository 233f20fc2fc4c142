import { answerInParts } from '../background.ts';
import { type MeasurePart, type MeasureQuestion, measure } from './measure.ts';

answerInParts(async (question: MeasureQuestion, send: (part: MeasurePart) => void) => {
  for await (const part of measure(question)) send(part);
});

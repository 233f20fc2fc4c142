import { answerInParts } from '../background.ts';
import { answerGraph } from './graph-questions.ts';

answerInParts(answerGraph);

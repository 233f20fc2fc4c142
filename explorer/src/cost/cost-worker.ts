import { answerInParts } from '../background.ts';
import { costCurve } from './cost-curve.ts';

answerInParts(costCurve);

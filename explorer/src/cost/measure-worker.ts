import { answerInParts } from '../background.ts';
import { measure } from './measure.ts';

answerInParts(measure);

import { describe, expect, it } from 'vitest';
import { logLine, parseLog, type TrainEvent } from './event.ts';

describe('parseLog', () => {
  const event: TrainEvent = { kind: 'evaluation', step: 3, loss: 0.5, tokens: 7 };

  it('reads what was written', () => {
    expect(parseLog(logLine(event) + logLine({ ...event, step: 4 }))).toEqual([event, { ...event, step: 4 }]);
    expect(parseLog('')).toEqual([]);
  });

  it('passes over what a crash left', () => {
    const left = `${logLine(event)}{"kind":"st${'\0'.repeat(5)}\n7\nnull\n${logLine(event)}{"kind":"step","st`;
    expect(parseLog(left)).toEqual([event, event]);
  });
});

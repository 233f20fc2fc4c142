/** What a training reports, and writes to its log: one JSON object on each line. */

export type TrainEvent = StartEvent | StepEvent | SkipEvent | EvaluationEvent | SaveEvent;

/** A training begins, or goes on. */
export interface StartEvent {
  readonly kind: 'start';
  /** Steps done before: 0 where it begins. */
  readonly step: number;
  readonly steps: number;
  /** Numbers that are trained. */
  readonly weights: number;
  /** The save that it goes on from. */
  readonly resumed?: string;
  /** Later saves that were not whole, and why. */
  readonly damaged?: readonly string[];
  /** Settings that are not those of the save. */
  readonly changed?: readonly string[];
  /** ISO 8601. */
  readonly time: string;
}

export interface StepEvent {
  readonly kind: 'step';
  /** Steps done, this one included. */
  readonly step: number;
  /** Mean over the step's tokens, in nats, before the update. */
  readonly loss: number;
  readonly learningRate: number;
  /** Of all gradients together, before clipping. */
  readonly gradientNorm: number;
  /** In this step. */
  readonly tokens: number;
  /** In all steps so far. */
  readonly totalTokens: number;
  /** Over the last few seconds. */
  readonly tokensPerSecond: number;
  /** Until all steps are done, at this speed; evaluations and saves are not counted. */
  readonly secondsLeft: number;
  /** Memory that the process holds; undefined where the platform does not tell. */
  readonly residentBytes?: number;
  readonly lossScale?: number;
}

/** A step whose gradients overflowed: the weights stay, the loss scale is halved. */
export interface SkipEvent {
  readonly kind: 'skip';
  readonly step: number;
  readonly loss: number;
  /** After halving. */
  readonly lossScale: number;
  readonly totalTokens: number;
}

export interface EvaluationEvent {
  readonly kind: 'evaluation';
  readonly step: number;
  /** Mean over the validation tokens, in nats. */
  readonly loss: number;
  /** The same of the averaged weights. */
  readonly averageLoss?: number;
  readonly tokens: number;
  /** Share of sequences that got their label, of models that classify. */
  readonly accuracy?: number;
}

/** Reported, but not in the log, which a save includes up to its own step. */
export interface SaveEvent {
  readonly kind: 'save';
  readonly step: number;
  readonly name: string;
}

export function logLine(event: TrainEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/**
 * The events of a log. What is no JSON object is passed over: a line that a killed process left unfinished, or bytes that a
 * crashed system left empty.
 */
export function parseLog(text: string): TrainEvent[] {
  return text.split('\n').flatMap((line) => {
    try {
      const event: unknown = JSON.parse(line);
      return typeof event === 'object' && event !== null && 'kind' in event ? [event as TrainEvent] : [];
    } catch {
      return [];
    }
  });
}

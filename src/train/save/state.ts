/** What a save tells beside its tensors: state.json. */
import * as v from 'valibot';
import { TrainingError } from '../../errors.ts';
import type { JsonValue } from '../data/source.ts';
import type { LossScale } from '../loss-scale.ts';

const FORMAT = 'farfield training state';
/** Raised when an older state can no longer be continued exactly. */
const VERSION = 1;

/** Everything that continuing needs and that is no tensor. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  /** Tokens trained on. */
  readonly tokens: number;
  /** Time that the steps took, without saves and evaluations. */
  readonly seconds: number;
  /** Bytes of the log when the save was made: a resumed training cuts it back to there. */
  readonly logBytes: number;
  readonly optimizer: { readonly name: string; readonly steps: number };
  readonly lossScale?: LossScale | undefined;
  /** Whether the save has an average of the weights. */
  readonly average: boolean;
  /** The place in the data, as its source tells it. */
  readonly data: JsonValue;
  /** What the training was told: differences are reported when it is resumed. */
  readonly settings: { readonly [name: string]: JsonValue | undefined };
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const json = v.custom<JsonValue>((value) => value !== undefined);
const schema: v.GenericSchema<TrainingState> = v.looseObject({
  step: count,
  tokens: count,
  seconds: v.number(),
  logBytes: count,
  optimizer: v.object({ name: v.string(), steps: count }),
  lossScale: v.optional(v.object({ factor: v.number(), goodSteps: count })),
  average: v.boolean(),
  data: json,
  settings: v.record(v.string(), v.optional(json)),
});

export function stateToJson(state: TrainingState): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, ...state }, undefined, 2)}\n`;
}

/** @throws TrainingError where it is no state, or one of a version that this one cannot continue. */
export function stateFromJson(text: string, place: string): TrainingState {
  const value: unknown = JSON.parse(text);
  const { format, version } = v.parse(v.looseObject({ format: v.unknown(), version: v.unknown() }), value);
  if (format !== FORMAT) throw new TrainingError(`${place}: is no state of a training of Farfield`);
  if (version !== VERSION) {
    throw new TrainingError(
      `${place}: was saved in version ${String(version)} of the format; this Farfield continues version ${VERSION}. Go on with the Farfield that saved ` +
        'it, or begin in another folder with its weights',
    );
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new TrainingError(`${place}: "${v.getDotPath(issue) ?? ''}" is wrong: ${issue.message}`);
}

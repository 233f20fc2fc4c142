/** Where a training loop gets its batches, and how the place in them is saved. */
import { DataError } from '../../errors.ts';
import type { TrainingBatch } from '../trainable.ts';

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

/**
 * Batches, the same for the same seed on every platform. `state()` tells the place after the batches that `next()` has given;
 * after `restore(state)` on a source of the same data and settings, `next()` gives the same batches to the bit.
 */
export interface BatchSource {
  /** The next batch; undefined after the last epoch. One call at a time. */
  next(): Promise<TrainingBatch | undefined>;
  state(): JsonValue;
  /** @throws DataError where the state is of other data or other settings. */
  restore(state: JsonValue): void;
  /** The held-out part, the same batches on every call. */
  validation?(): AsyncIterable<TrainingBatch>;
}

/** What a source's batches depend on. It is saved with the place, so that resuming with something else is noticed. */
export type Identity = Readonly<Record<string, string | number>>;

/** A place in the data: `next` counts the sequences of this epoch that have been given. */
export interface Place {
  readonly epoch: number;
  readonly next: number;
}

export function saveState(identity: Identity, { epoch, next }: Place): JsonValue {
  return { of: identity, epoch, next };
}

/** The place in a saved state. @throws DataError that names what differs. */
export function readState(state: JsonValue, identity: Identity): Place {
  const { of, epoch, next } = asObject(state);
  const saved = asObject(of ?? null);
  for (const [name, value] of Object.entries(identity)) {
    if (saved[name] !== value) {
      const changed = name === 'data' ? 'the data is not what it was when this state was saved' : 'the settings differ';
      throw new DataError(
        `cannot resume: ${changed}: "${name}" was ${JSON.stringify(saved[name])}, and is now ${JSON.stringify(value)}`,
      );
    }
  }
  if (!isCount(epoch) || !isCount(next)) {
    throw new DataError(`cannot resume: "epoch" and "next" of a saved state must be non-negative integers`);
  }
  return { epoch, next };
}

function asObject(value: JsonValue): { readonly [key: string]: JsonValue | undefined } {
  if (typeof value === 'object' && value !== null && !isList(value)) return value;
  throw new DataError(`cannot resume: a saved state must be an object, got ${JSON.stringify(value)?.slice(0, 60)}`);
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

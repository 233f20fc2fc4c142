/** Errors that a caller can act on. Each names the argument, what it was, and what would be right. */
export class FarfieldError extends Error {
  override name = 'FarfieldError';
}

/** A tensor's shape, or an option's value, does not fit the others. */
export class ArgumentError extends FarfieldError {
  override name = 'ArgumentError';
}

/** A pattern that is not well formed: unknown word, bad parameter, wrong JSON. */
export class PatternError extends FarfieldError {
  override name = 'PatternError';
}

/** A weight file that is truncated, corrupt, or of a type Farfield does not read. */
export class CheckpointError extends FarfieldError {
  override name = 'CheckpointError';
}

/** A tokenizer that is missing, malformed, or does not match the model; or a text that cannot be decoded. */
export class TextError extends FarfieldError {
  override name = 'TextError';
}

/** An architecture or a configuration that no file in model/ implements. */
export class ModelError extends FarfieldError {
  override name = 'ModelError';
}

/** The work needs more memory than there is. Said before anything is allocated. */
export class MemoryError extends FarfieldError {
  override name = 'MemoryError';
  readonly neededBytes: number;
  readonly availableBytes: number;
  constructor(message: string, neededBytes: number, availableBytes: number) {
    super(message);
    this.neededBytes = neededBytes;
    this.availableBytes = availableBytes;
  }
}

/** The device failed: a worker crashed, a module did not compile, or it was used after dispose(). */
export class DeviceError extends FarfieldError {
  override name = 'DeviceError';
}

/** A data set that is empty, cannot be read, or is not the one that a saved state was made with. */
export class DataError extends FarfieldError {
  override name = 'DataError';
}

/** A training that cannot go on: a loss that is not a number, a save that is not of this model. */
export class TrainingError extends FarfieldError {
  override name = 'TrainingError';
}

/** Why something could not be had from the Hugging Face hub. */
export type HubFailure =
  /** The id, the revision or an option is not well formed. */
  | 'argument'
  /** 401 or 403: no token, a wrong one, or a gated repository. */
  | 'access'
  /** No such repository, revision or file. */
  | 'absent'
  /** 429, also after waiting as told. */
  | 'busy'
  /** 5xx, or an answer that is not the hub's. */
  | 'server'
  /** No connection, or one that breaks again and again. */
  | 'unreachable'
  /** The bytes that came are not those that the hub has on record. */
  | 'content'
  /** Offline, and the file is not in the cache. */
  | 'offline'
  /** The cache cannot be written, or is full. */
  | 'disk';

/** A model could not be had from the Hugging Face hub or its cache. */
export class HubError extends FarfieldError {
  override name = 'HubError';
  readonly failure: HubFailure;
  constructor(failure: HubFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}

/** A master weight in float32, row-major. The optimizer changes `data` in place; the next step reads it. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * Packed rows: S sequences one after the other, R rows in all. A row sees rows of its own sequence only, at the places that
 * they have in it, so a batch of packed sequences gives what the sequences give one by one.
 */
export interface TrainingBatch {
  /** Token ids [R]. */
  readonly inputs: Int32Array;
  /** The id that each row should predict [R]; read where the row's weight is not 0. */
  readonly targets: Int32Array;
  /** Weight of each row in the loss [R], sum(weights * nll) / sum(weights); at least 0, and not all 0. */
  readonly weights: Float32Array;
  /** The first row of each sequence [S], ascending from 0. */
  readonly starts: Int32Array;
  /** Position of each row in its document [R]. Default: counted from the sequence's start. */
  readonly positions?: Int32Array;
  /** The class of each sequence [S], for models that classify; they read neither targets nor weights. */
  readonly labels?: Int32Array;
}

export interface StepOptions {
  /** Factor on the loss of which the gradients are taken, not on the loss that is returned. Default 1. */
  readonly lossScale?: number;
  /**
   * Told once, of the first tensor that is not finite, by its name and what else says where it is. Asked in a step that is computed again
   * because its loss or a gradient is not finite; a trainable that cannot tell leaves it.
   */
  readonly onNonFinite?: (tensor: string) => void;
  readonly signal?: AbortSignal;
}

export interface StepResult {
  /** Mean loss in nats over the weights (or over the sequences, for models that classify). */
  readonly loss: number;
  /** Rows of the batch. */
  readonly tokens: number;
  /** Of models that classify: how many sequences got their label. */
  readonly correct?: number;
}

/** Something that train/ can optimize. Calls must not overlap. */
export interface Trainable {
  /** In a fixed order. */
  readonly parameters: readonly Parameter[];
  /**
   * Loss of a batch; its gradients are added to `gradients`, which has the order and the sizes of `parameters`. The same to the bit for
   * the same batch and weights.
   * @throws ArgumentError for a batch that is not well formed, with the place; the signal's reason where it was cancelled, with
   *   `gradients` in an undefined state.
   */
  step(batch: TrainingBatch, gradients: readonly Float32Array[], options?: StepOptions): Promise<StepResult>;
  /** Loss without gradients. */
  evaluate(batch: TrainingBatch, options?: { readonly signal?: AbortSignal }): Promise<StepResult>;
}

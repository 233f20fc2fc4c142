/** One step of the same dense GPT, whoever takes it. */
export const trainerNames = ['farfield', 'tfjs', 'jax-js'] as const;
export type TrainerName = (typeof trainerNames)[number];

/** A byte-level decoder of src/model/gpt.ts with learned positions and dense causal attention, its weights, and one batch. */
export interface TrainingProblem {
  readonly vocabulary: number;
  readonly layers: number;
  /** C, H heads of D = C / H. */
  readonly hidden: number;
  readonly heads: number;
  /** T, tokens of a sequence, and B, sequences of the batch. */
  readonly context: number;
  readonly batch: number;
  /** Of plain SGD: w -= learningRate * gradient. */
  readonly learningRate: number;
  readonly threads: number;
  /** The initial weights by the names of gptSpecifications(). */
  readonly weights: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  /** Ids [B * T] and the ids that follow them. */
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
}

/** Of the layer norms. */
export const NORM_EPSILON = 1e-5;

export interface Trainer extends AsyncDisposable {
  readonly name: TrainerName;
  readonly about: string;
  /** Takes a step and gives the mean loss in nats before it. */
  step(signal: AbortSignal): Promise<number>;
}

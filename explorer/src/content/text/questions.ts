/** What the page asks the worker that holds the model. */
export type Question =
  | { readonly kind: 'open'; readonly files?: { readonly config: string; readonly safetensors: Uint8Array } }
  | { readonly kind: 'run'; readonly ids: Int32Array; readonly patterns: readonly string[] }
  | { readonly kind: 'row'; readonly layer: number; readonly head: number; readonly token: number };

export interface ModelFacts {
  readonly parameters: number;
  readonly layers: number;
  readonly heads: number;
  readonly context: number;
  /** That it was trained with, in text form. */
  readonly pattern: string;
}

export interface RunFacts {
  /** -log2 of the probability of each token after those before it [N]; 0 for the first. Under the patterns asked for, dense, and as trained. */
  readonly bits: Readonly<Record<'pattern' | 'dense' | 'trained', Float32Array>>;
  /** [layers][heads][N]: the share of a token's dense attention that lies outside the pattern. */
  readonly lost: readonly (readonly Float32Array[])[];
  readonly milliseconds: number;
}

export interface RowFacts {
  /** [N]: how much `token` attends to each. */
  readonly pattern: Float32Array;
  readonly dense: Float32Array;
}

export interface Answer {
  /** Undefined after "open" where the build has no model. */
  readonly model?: ModelFacts;
  readonly run?: RunFacts;
  readonly row?: RowFacts;
}

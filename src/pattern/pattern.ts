/**
 * The pattern algebra: WHICH pairs (query, key) attend. A pattern is plain data, so it can be a JSON file, a command-line
 * argument, an ONNX attribute and a URL. Its meaning is `allows()` in allows.ts, on absolute positions: position q of a query
 * and position k of a key in one sequence. A mask for N queries and M keys aligns them at the end (see mask/compile.ts).
 */

import type { Ball } from './kinds/ball.ts';
import type { BlockLocal, BlockPermutation, Blocks } from './kinds/block.ts';
import type { AShape, PrefixLm, TransientGlobal, VerticalSlash } from './kinds/decoder.ts';
import type { Axial, Neighbourhood, ShiftedWindows } from './kinds/grid.ts';
import type { BigBird, RandomBlocks, RandomTokens } from './kinds/random.ts';
import type { Documents, Groups, Ordered, Shift } from './kinds/sequence.ts';
import type { Fixed, Strided } from './kinds/sparse-transformer.ts';
import type { Columns, Diagonals, Rows, SameCoordinate } from './kinds/stripes.ts';

/** Every pair. */
export interface Dense {
  readonly kind: 'dense';
}

/** k <= q. */
export interface Causal {
  readonly kind: 'causal';
}

/**
 * Sliding window (Longformer, section 3.1): -right <= (q - k) / dilation <= left, and q - k a multiple of dilation.
 * `left` and `right` count steps, so the window reaches left * dilation tokens back; with dilation 1 steps are tokens.
 */
export interface Window {
  readonly kind: 'window';
  readonly left: number;
  readonly right: number;
  /** Distance between attended keys, in tokens. Default 1. */
  readonly dilation?: number;
}

/** The first `count` keys, for every query (StreamingLLM, section 3.2): k < count. */
export interface Sinks {
  readonly kind: 'sinks';
  readonly count: number;
}

/**
 * Global tokens (Longformer, section 3.1): pairs in which one side is at one of `positions`.
 * `direction` 'both' (default): q or k is global; 'keys': every query sees the global keys; 'queries': the global queries see every key.
 */
export interface Global {
  readonly kind: 'global';
  readonly positions: readonly number[];
  readonly direction?: 'both' | 'keys' | 'queries';
}

/** Pairs that at least one of the parts allows. */
export interface Union {
  readonly kind: 'union';
  readonly of: readonly Pattern[];
}

/** Pairs that every part allows. */
export interface Intersect {
  readonly kind: 'intersect';
  readonly of: readonly Pattern[];
}

/** Pairs that the part does not allow. */
export interface Complement {
  readonly kind: 'complement';
  readonly of: Pattern;
}

/** Head h uses `heads[h % heads.length]`; a list shorter than the heads repeats. Must not be nested in another perHead. */
export interface PerHead {
  readonly kind: 'perHead';
  readonly heads: readonly Pattern[];
}

/** The kinds that this file defines. */
export type CorePattern = Dense | Causal | Window | Sinks | Global | Union | Intersect | Complement | PerHead;

/** The kinds that kinds/ defines: one file for each family, and registry.ts for what there is to know of each. */
export type FamilyPattern =
  | Columns
  | Rows
  | Diagonals
  | SameCoordinate
  | Strided
  | Fixed
  | BlockLocal
  | Blocks
  | BlockPermutation
  | RandomTokens
  | RandomBlocks
  | BigBird
  | Axial
  | Neighbourhood
  | ShiftedWindows
  | Ball
  | Documents
  | Groups
  | Ordered
  | Shift
  | PrefixLm
  | AShape
  | VerticalSlash
  | TransientGlobal;

export type Pattern = CorePattern | FamilyPattern;

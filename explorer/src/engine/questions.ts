import type { AttentionCost, LayersUntilConnected, MaskStatistics } from '../../../src/mask/index.ts';
import type { Cross } from './cross.ts';
import type { Reach } from './reach.ts';
import type { Tile } from './tile.ts';

/** A pattern in its text form, and what it is compiled for. */
export interface Subject {
  readonly pattern: string;
  readonly tokens: number;
  readonly heads: number;
}

/** What the page asks its worker. Tiles, crosses and files are of the mask that was compiled last; the rest stands for itself. */
export type Question =
  | ({ readonly kind: 'compile' } & Subject)
  | {
      readonly kind: 'tile';
      readonly head: number;
      readonly level: number;
      readonly column: number;
      readonly row: number;
    }
  | {
      readonly kind: 'cross';
      readonly head: number;
      readonly query: number;
      readonly key: number;
      readonly mostRuns: number;
    }
  | { readonly kind: 'file'; readonly head: number; readonly format: 'png' | 'svg'; readonly size: number }
  | ({ readonly kind: 'picture'; readonly head: number; readonly cells: number } & Subject)
  | {
      readonly kind: 'reach';
      readonly patterns: readonly string[];
      readonly tokens: number;
      readonly heads: number;
      readonly query: number;
      readonly layers: number;
    }
  | ({ readonly kind: 'connected' } & Subject);

export interface Compiled {
  readonly kind: 'compile';
  readonly pattern: AttentionCost;
  readonly dense: AttentionCost;
  readonly blocks: MaskStatistics['blocks'];
  readonly pairsPerHead: readonly number[];
  /** Heads of the same number here have the same mask. */
  readonly headRows: readonly number[];
  /** Why the pattern is not meant for this many tokens, where it is not; what lies outside it then sees nothing. */
  readonly misfit: string | undefined;
}

/** A whole head in few cells: tile (0, 0) of the first level that holds it, and how many of its cells are of the mask. */
export interface Picture {
  readonly kind: 'picture';
  readonly tile: Tile;
  readonly cells: number;
}

export type Answer =
  | Compiled
  | { readonly kind: 'tile'; readonly tile: Tile }
  | { readonly kind: 'cross'; readonly cross: Cross }
  | { readonly kind: 'file'; readonly content: string | Uint8Array<ArrayBuffer> }
  | Picture
  | { readonly kind: 'reach'; readonly reach: Reach }
  | { readonly kind: 'connected'; readonly connected: LayersUntilConnected | undefined };

import type { AttentionCost, MaskStatistics } from '../../../src/mask/index.ts';
import type { Cross } from './cross.ts';
import type { Tile } from './tile.ts';

/** What the page asks its worker. */
export type Question =
  | { readonly kind: 'compile'; readonly pattern: string; readonly tokens: number; readonly heads: number }
  | {
      readonly kind: 'tile';
      readonly head: number;
      readonly level: number;
      readonly column: number;
      readonly row: number;
    }
  | { readonly kind: 'cross'; readonly head: number; readonly query: number; readonly key: number };

export interface Compiled {
  readonly kind: 'compile';
  readonly pattern: AttentionCost;
  readonly dense: AttentionCost;
  readonly blocks: MaskStatistics['blocks'];
}

export type Answer =
  | Compiled
  | { readonly kind: 'tile'; readonly tile: Tile }
  | { readonly kind: 'cross'; readonly cross: Cross };

import type { Pattern } from '../../pattern/pattern.ts';
import type { KeyRange } from '../../pattern/visibility.ts';
import { compileMask } from '../compile.ts';
import { directedGraph } from './block-graph.ts';
import { checkCount } from './check.ts';
import { HopSearch } from './hop-search.ts';

export interface ReceptiveField {
  /** Tokens that the query's output depends on, itself included: it comes through the residual connection. */
  readonly count: number;
  /** The same tokens as ascending, disjoint, non-adjacent ranges. */
  readonly ranges: readonly KeyRange[];
  /** `count` after each layer, from 1 on; shorter than the layers where the field has stopped growing. */
  readonly countAfterLayer: readonly number[];
}

/**
 * The tokens that can reach the output at position `query` through `layers` layers that all use `pattern` in `heads` heads
 * (default 1; heads together see what any of them sees): those at most `layers` steps away, a step leading from a query to
 * a key that it sees. Exact to the token. Time and memory proportional to the kept blocks, whatever the number of layers.
 *
 * Throws ArgumentError for a length, query or number of layers that is out of range, and what compileMask throws.
 */
export function receptiveField(
  pattern: Pattern,
  options: { readonly length: number; readonly layers: number; readonly query: number; readonly heads?: number },
): ReceptiveField {
  const { length, layers, query, heads = 1 } = options;
  checkCount('receptiveField length', length, 1);
  checkCount('receptiveField layers', layers, 0);
  checkCount('receptiveField query', query, 0, length - 1);
  const search = new HopSearch(directedGraph(compileMask(pattern, { queries: length, keys: length, heads })));
  let count = 1;
  const countAfterLayer: number[] = [];
  search.run([query], layers, (fresh) => {
    count += fresh;
    countAfterLayer.push(count);
  });
  const ranges: KeyRange[] = [];
  for (let token = 0; token < length; token++) {
    if (!search.hasReached(token)) continue;
    const start = token;
    while (token < length && search.hasReached(token)) token++;
    ranges.push({ start, end: token });
  }
  return { count, ranges, countAfterLayer };
}

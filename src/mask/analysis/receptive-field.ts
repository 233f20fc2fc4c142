import { ArgumentError } from '../../errors.ts';
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
  /** `count` after each layer, from the last layer down; shorter than the layers where the field has stopped growing. */
  readonly countAfterLayer: readonly number[];
}

/**
 * The tokens that can reach the output at position `query` through `layers` layers in `heads` heads (default 1; heads
 * together see what any of them sees). `pattern` is that of every layer, or a list: those of the layers from the first on,
 * repeated where it is shorter. Exact to the token. With one pattern these are the tokens at most `layers` steps away, a step
 * leading from a query to a key that it sees: time and memory proportional to the kept blocks, whatever the number of
 * layers. With a list each layer takes time proportional to the kept blocks.
 *
 * Throws ArgumentError for a length, query, number of layers or list that is out of range, and what compileMask throws.
 */
export function receptiveField(
  pattern: Pattern | readonly Pattern[],
  options: { readonly length: number; readonly layers: number; readonly query: number; readonly heads?: number },
): ReceptiveField {
  const { length, layers, query, heads = 1 } = options;
  checkCount('receptiveField length', length, 1);
  checkCount('receptiveField layers', layers, 0);
  checkCount('receptiveField query', query, 0, length - 1);
  const patterns: readonly Pattern[] = 'kind' in pattern ? [pattern] : pattern;
  if (patterns.length === 0)
    throw new ArgumentError('receptiveField: the list of patterns is empty; give one for each layer');
  const searches = patterns.map(
    (own) => new HopSearch(directedGraph(compileMask(own, { queries: length, keys: length, heads, length: Infinity }))),
  );
  const [first] = searches;
  const field =
    first !== undefined && searches.length === 1 ? alike(first, query, layers) : inTurn(searches, query, layers);
  const ranges: KeyRange[] = [];
  for (let token = 0; token < length; token++) {
    if (!field.isInside(token)) continue;
    const start = token;
    while (token < length && field.isInside(token)) token++;
    ranges.push({ start, end: token });
  }
  return { count: field.countAfterLayer.at(-1) ?? 1, ranges, countAfterLayer: field.countAfterLayer };
}

interface Field {
  readonly countAfterLayer: number[];
  isInside(token: number): boolean;
}

function alike(search: HopSearch, query: number, layers: number): Field {
  let count = 1;
  const countAfterLayer: number[] = [];
  search.run([query], layers, (fresh) => {
    count += fresh;
    countAfterLayer.push(count);
  });
  return { countAfterLayer, isInside: (token) => search.hasReached(token) };
}

/** From the last layer down: what a layer's field sees is the field of the layer below. */
function inTurn(searches: readonly HopSearch[], query: number, layers: number): Field {
  let tokens = [query];
  let unchanged = 0;
  const countAfterLayer: number[] = [];
  for (let layer = layers - 1; layer >= 0 && unchanged < searches.length; layer--) {
    const search = searches[layer % searches.length];
    if (search === undefined) break;
    search.hopFrom(tokens);
    const next: number[] = [];
    for (let token = 0; token < search.nodes; token++) if (search.hasReached(token)) next.push(token);
    unchanged = next.length === tokens.length ? unchanged + 1 : 0;
    tokens = next;
    countAfterLayer.push(tokens.length);
  }
  const inside = new Set(tokens);
  return { countAfterLayer, isInside: (token) => inside.has(token) };
}

/** Numbers about a pattern in words that stand beside a step of the tour. */
import { formatBytes, formatCount, formatPercent } from '../../../src/cli/format.ts';
import { counted, plural } from '../../../src/counted.ts';
import { attentionCost, layersUntilConnected } from '../../../src/mask/index.ts';
import { type Pattern, parsePattern } from '../../../src/pattern/index.ts';
import { fieldOf } from '../engine/reach.ts';
import type { Fact } from './tour.ts';

/** Width of a head, for the cost; pairs do not depend on it. */
const WIDTH = 64;
/** Longest text whose ways are followed from every token. */
const MOST_EXACT = 8192;

export interface Subject {
  /** Of the layers, in turn. */
  readonly patterns: readonly string[];
  /** The layer that is shown. */
  readonly layer: number;
  readonly tokens: number;
  readonly heads: number;
  readonly layers: number;
}

export interface ShownFact {
  readonly name: string;
  readonly value: string;
}

/** Computes the facts for what is on the page. Throws what compileMask throws. */
export function computeFacts(facts: readonly Fact[], subject: Subject): ShownFact[] {
  const { tokens, heads, layers, layer } = subject;
  const patterns = subject.patterns.map((text) => parsePattern(text));
  const pattern = patterns[layer % patterns.length];
  const cost = lazy(() => costOf(pattern, tokens, heads));
  const compute: Record<Fact, () => ShownFact> = {
    pairs: () => ({ name: 'Pairs', value: formatCount(cost().pairs) }),
    share: () => ({ name: 'Of all pairs', value: formatPercent(cost().density) }),
    doubled: () => ({
      name: `With ${formatCount(2 * tokens)} tokens`,
      value: `${(costOf(pattern, 2 * tokens, heads).pairs / cost().pairs).toFixed(2)} times the pairs`,
    }),
    scores: () => ({ name: 'Scores of one head, dense', value: formatBytes(4 * tokens ** 2) }),
    lastReads: () => ({
      name: 'The last token reads',
      value: tokensOf(fieldOf([pattern], { length: tokens, layers: 1, query: tokens - 1, heads }).count),
    }),
    kept: () => ({ name: 'Keys kept for later tokens', value: tokensOf(cost().cacheBytes / (2 * 4 * WIDTH * heads)) }),
    reach: () => ({
      name: `After ${counted(layers, 'layer')} it depends on`,
      value: tokensOf(fieldOf(patterns, { length: tokens, layers, query: tokens - 1, heads }).count),
    }),
    connected: () => ({
      name: `Layers until all are connected${patterns.length > 1 ? ', all like the one shown' : ''}`,
      value: connected(pattern, tokens, heads),
    }),
  };
  return facts.map((fact) => compute[fact]());
}

function costOf(pattern: Pattern, queries: number, heads: number) {
  return attentionCost(pattern, { queries, heads, queryWidth: WIDTH }).pattern;
}

function connected(pattern: Pattern, length: number, heads: number): string {
  if (length > MOST_EXACT) return `not computed above ${formatCount(MOST_EXACT)} tokens`;
  const { atMost } = layersUntilConnected(pattern, { length, heads, exactLength: MOST_EXACT });
  return atMost === Number.POSITIVE_INFINITY ? 'never' : formatCount(atMost);
}

function tokensOf(count: number): string {
  return `${formatCount(count)} ${plural(count, 'token')}`;
}

function lazy<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

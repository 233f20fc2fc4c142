/** Constructors of patterns along a sequence. All throw PatternError. Definitions and papers: ../kinds/. */
import { PatternError } from '../../errors.ts';
import { globalTokens, union, window } from '../constructors.ts';
import type { AShape, PrefixLm, TransientGlobal, VerticalSlash } from '../kinds/decoder.ts';
import type { Documents, Groups, Ordered, Shift } from '../kinds/sequence.ts';
import type { Strided } from '../kinds/sparse-transformer.ts';
import type { Columns, Diagonals, Rows } from '../kinds/stripes.ts';
import type { Pattern, Window } from '../pattern.ts';
import { checkInteger, show } from '../values.ts';
import { forHeads, made } from './made.ts';

/** Keys k with start <= k mod period < start + count, for every query. */
export function columns(options: { start?: number; count: number; period?: number }): Columns {
  const { start = 0, count, period } = options;
  return made<Columns>({ kind: 'columns', start, count, period });
}

/** Queries q with start <= q mod period < start + count, which see every key. */
export function rows(options: { start?: number; count: number; period?: number }): Rows {
  const { start = 0, count, period } = options;
  return made<Rows>({ kind: 'rows', start, count, period });
}

/** q - k is one of `offsets`. */
export function diagonals(offsets: readonly number[]): Diagonals {
  return made<Diagonals>({ kind: 'diagonals', offsets });
}

/** Sparse Transformer, strided (Child et al. 2019, section 4.3). */
export function strided(stride: number): Strided {
  return made<Strided>({ kind: 'strided', stride });
}

/**
 * Sparse Transformer, fixed (Child et al. 2019, section 4.3), with `summary` columns in each block of `stride` tokens, the
 * last ones or `offset` tokens before those. With `heads`, that many heads in turn have columns of their own: head h those
 * h * summary tokens before the first head's (section 4.3, "distinct subblocks").
 */
export function fixed(options: { stride: number; summary?: number; offset?: number; heads?: number }): Pattern {
  const { stride, summary = 1, offset, heads } = options;
  if (heads === undefined) return made({ kind: 'fixed', stride, summary, offset });
  checkInteger('fixed heads', heads, 1);
  if (heads * summary + (offset ?? 0) > stride) {
    throw new PatternError(
      `fixed heads is ${heads}; ${heads} times ${summary} columns do not fit a block of ${stride} tokens`,
    );
  }
  const patterns = Array.from({ length: heads }, (_, head) =>
    made({ kind: 'fixed', stride, summary, offset: (offset ?? 0) + head * summary }),
  );
  return forHeads(patterns);
}

/** Global and local attention (ETC: Ainslie et al. 2020): the first `global` tokens, and a window for all. */
export function globalLocal(options: {
  global: number;
  window: number | { left?: number; right?: number };
  direction?: 'both' | 'keys' | 'queries';
}): Pattern {
  const { global, window: size, direction } = options;
  checkInteger('globalLocal global', global);
  const positions = Array.from({ length: global }, (_, i) => i);
  return union(window(size), globalTokens(direction === undefined ? { positions } : { positions, direction }));
}

/**
 * Packed documents (Krell et al. 2021), by their lengths, by [start, end) spans in ascending order, or by an id
 * for each token, negative for none. Ids that do not come in one run each give a pattern of kind groups.
 */
export function documents(
  options:
    | { lengths: readonly number[] }
    | { spans: readonly (readonly [number, number])[] }
    | { ids: readonly number[] },
): Documents | Groups {
  if ('lengths' in options) return made<Documents>({ kind: 'documents', lengths: options.lengths, starts: undefined });
  if ('spans' in options) {
    for (const [i, [start, end]] of options.spans.entries()) {
      checkInteger(`documents spans[${i}][0]`, start);
      checkInteger(`documents spans[${i}][1]`, end, start);
    }
    const lengths = options.spans.map(([start, end]) => end - start);
    return made<Documents>({ kind: 'documents', lengths, starts: options.spans.map(([start]) => start) });
  }
  return fromIds(made<Groups>({ kind: 'groups', ids: options.ids }));
}

/** The documents of ids that come in one run each, which compile faster; else the groups as they are. */
function fromIds(groups: Groups): Documents | Groups {
  const { ids } = groups;
  const seen = new Set<number>();
  const starts: number[] = [];
  const lengths: number[] = [];
  for (let start = 0; start < ids.length; ) {
    const id = ids[start] ?? -1;
    let end = start + 1;
    while (end < ids.length && ids[end] === id) end++;
    if (id >= 0) {
      if (seen.has(id)) return groups;
      seen.add(id);
      starts.push(start);
      lengths.push(end - start);
    }
    start = end;
  }
  return made<Documents>({ kind: 'documents', lengths, starts });
}

/** Causal by given positions: positions[k] <= positions[q]. */
export function ordered(positions: readonly number[]): Ordered {
  return made<Ordered>({ kind: 'ordered', positions });
}

/** `of` with queries moved by `queries` tokens and keys by `keys`: what stood at 0 stands there then. */
export function shift(of: Pattern, by: { queries?: number; keys?: number }): Shift {
  if (typeof by !== 'object' || by === null) {
    throw new PatternError(`shift by is ${show(by)}; it must be { queries, keys }`);
  }
  return made<Shift>({ kind: 'shift', queries: by.queries ?? 0, keys: by.keys ?? 0, of });
}

/** Prefix LM (Raffel et al. 2020, section 3.2.1): the first `prefix` keys for all, the rest causal. */
export function prefixLm(prefix: number): PrefixLm {
  return made<PrefixLm>({ kind: 'prefixLm', prefix });
}

/** A-shape (MInference: Jiang et al. 2024): sinks and a window, causal. */
export function aShape(options: { sinks: number; window: number }): AShape {
  return made<AShape>({ kind: 'aShape', sinks: options.sinks, window: options.window });
}

/** Vertical-slash (MInference: Jiang et al. 2024): columns at `vertical`, diagonals q - k at `slash`, causal. */
export function verticalSlash(options: { vertical: readonly number[]; slash: readonly number[] }): VerticalSlash {
  return made<VerticalSlash>({ kind: 'verticalSlash', vertical: options.vertical, slash: options.slash });
}

/** LongT5's local attention (Guo et al. 2022): |q - k| <= radius. */
export function longT5Local(radius: number): Window {
  return window(radius);
}

/** The fixed part of LongT5's transient global attention (Guo et al. 2022): see TransientGlobal. */
export function longT5TransientGlobal(options: { radius: number; summaries: number }): TransientGlobal {
  return made<TransientGlobal>({ kind: 'transientGlobal', summaries: options.summaries, radius: options.radius });
}

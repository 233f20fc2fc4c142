/** Edits of a pattern's tree. A part is named by its path: the place of each child on the way from the root. All return new data. */
import type { Pattern } from '../../../src/pattern/index.ts';

export type Path = readonly number[];
/** How one pattern is put beside another. */
export type Combination = 'union' | 'intersect' | 'perHead';

export function childrenOf(pattern: Pattern): readonly Pattern[] {
  switch (pattern.kind) {
    case 'union':
    case 'intersect':
      return pattern.of;
    case 'perHead':
      return pattern.heads;
    case 'complement':
    case 'shift':
      return [pattern.of];
    default:
      return [];
  }
}

/** Whether a part holds a list of parts, to which others may be added. */
export function isGroup(pattern: Pattern): boolean {
  return pattern.kind === 'union' || pattern.kind === 'intersect' || pattern.kind === 'perHead';
}

/** A group of one part is that part, and a part around nothing is nothing. */
function withChildren(pattern: Pattern, children: readonly Pattern[]): Pattern | undefined {
  const [first] = children;
  if (first === undefined) return undefined;
  switch (pattern.kind) {
    case 'union':
    case 'intersect':
      return children.length === 1 ? first : { ...pattern, of: children };
    case 'perHead':
      return children.length === 1 ? first : { ...pattern, heads: children };
    case 'complement':
    case 'shift':
      return { ...pattern, of: first };
    default:
      return pattern;
  }
}

export function partAt(pattern: Pattern, path: Path): Pattern | undefined {
  return path.reduce<Pattern | undefined>(
    (part, at) => (part === undefined ? undefined : childrenOf(part)[at]),
    pattern,
  );
}

/** With the part at `path` changed; one changed to undefined is taken out. */
export function changeAt(
  pattern: Pattern,
  path: Path,
  change: (part: Pattern) => Pattern | undefined,
): Pattern | undefined {
  const [at, ...rest] = path;
  if (at === undefined) return change(pattern);
  const children = childrenOf(pattern).flatMap((child, i) =>
    i === at ? (changeAt(child, rest, change) ?? []) : [child],
  );
  return withChildren(pattern, children);
}

/** Puts `part` beside the pattern: into it where it is such a group already. */
export function combine(pattern: Pattern, kind: Combination, part: Pattern): Pattern {
  if (kind === 'perHead') {
    const heads = pattern.kind === 'perHead' ? pattern.heads : [pattern];
    return { kind, heads: [...heads, ...(part.kind === 'perHead' ? part.heads : [part])] };
  }
  return { kind, of: [...(pattern.kind === kind ? pattern.of : [pattern]), part] };
}

/** The same parts under another head: a union becomes an intersection, and so on. */
export function regroup(pattern: Pattern, kind: Combination): Pattern {
  const children = childrenOf(pattern);
  return kind === 'perHead' ? { kind, heads: children } : { kind, of: children };
}

/** The pattern that allows what this one does not; twice is the pattern itself. */
export function negate(pattern: Pattern): Pattern {
  return pattern.kind === 'complement' ? pattern.of : { kind: 'complement', of: pattern };
}

/** Moves a part by one place among its siblings; as it is where there is no such place. */
export function step(pattern: Pattern, path: Path, by: 1 | -1): Pattern {
  const at = path.at(-1);
  if (at === undefined) return pattern;
  const changed = changeAt(pattern, path.slice(0, -1), (parent) => {
    const children = [...childrenOf(parent)];
    const [own, other] = [children[at], children[at + by]];
    if (own === undefined || other === undefined) return parent;
    children[at] = other;
    children[at + by] = own;
    return withChildren(parent, children);
  });
  return changed ?? pattern;
}

/** Whether the part at `outer` is the one at `inner` or has it inside. */
export function holds(outer: Path, inner: Path): boolean {
  return outer.every((at, i) => inner[i] === at);
}

/** Takes the part at `from` out and puts it beside the one at `to`. As it is where one holds the other. */
export function move(pattern: Pattern, from: Path, to: Path, kind: Combination): Pattern {
  const part = partAt(pattern, from);
  if (part === undefined || from.length === 0 || holds(from, to)) return pattern;
  // A stand-in keeps paths valid until the part is at its new place.
  const standIn: Pattern = { kind: 'dense' };
  const without = changeAt(pattern, from, () => standIn) ?? pattern;
  const moved = changeAt(without, to, (target) => combine(target, kind, part)) ?? pattern;
  return remove(moved, standIn) ?? pattern;
}

/** Puts the part at `path` together with the sibling before it: into that one where it is a group, else as one that allows either. */
export function joinBefore(pattern: Pattern, path: Path): Pattern {
  const at = path.at(-1) ?? 0;
  if (at === 0) return pattern;
  const to = [...path.slice(0, -1), at - 1];
  return move(pattern, path, to, joinOf(partAt(pattern, to)));
}

/** How another part is put to this one where nothing else is said: as a group has its parts, and beside a single one as a union. */
export function joinOf(part: Pattern | undefined): Combination {
  return part?.kind === 'intersect' || part?.kind === 'perHead' ? part.kind : 'union';
}

function remove(pattern: Pattern, part: Pattern): Pattern | undefined {
  if (pattern === part) return undefined;
  const children = childrenOf(pattern);
  if (children.length === 0) return pattern;
  return withChildren(
    pattern,
    children.flatMap((child) => remove(child, part) ?? []),
  );
}

import type { Field } from './kinds/definition.ts';
import { definitionOf } from './kinds/registry.ts';
import type { FamilyPattern, Pattern } from './pattern.ts';

/** How tightly the text form of a pattern binds: a part that binds less tightly than its place needs parentheses. */
const ATOM = 3;
const INTERSECT = 2;
const UNION = 1;
const PER_HEAD = 0;

/**
 * The text form of a pattern, which parsePattern turns back into an equal pattern. A pattern without a text form (a union
 * of one part, say, or global tokens at no position) is given as JSON, which parsePattern also reads.
 */
export function formatPattern(pattern: Pattern): string {
  return formatPart(pattern)?.text ?? JSON.stringify(pattern);
}

function formatPart(pattern: Pattern): { text: string; binds: number } | undefined {
  switch (pattern.kind) {
    case 'dense':
    case 'causal':
      return { text: pattern.kind, binds: ATOM };
    case 'window': {
      const { left, right, dilation } = pattern;
      const sides = left === right ? `${left}` : `${left},${right}`;
      return { text: `window:${sides}${dilation === undefined ? '' : `/${dilation}`}`, binds: ATOM };
    }
    case 'sinks':
      return { text: `sinks:${pattern.count}`, binds: ATOM };
    case 'global': {
      const { positions, direction } = pattern;
      if (positions.length === 0) return undefined;
      return { text: `global:${positions.join(',')}${direction === undefined ? '' : `/${direction}`}`, binds: ATOM };
    }
    case 'union':
      return join(pattern.of, '+', UNION);
    case 'intersect':
      return join(pattern.of, '&', INTERSECT);
    case 'complement': {
      const inner = formatPart(pattern.of);
      if (inner === undefined) return undefined;
      return { text: `!${inner.binds === ATOM ? inner.text : `(${inner.text})`}`, binds: ATOM };
    }
    case 'perHead':
      return join(pattern.heads, '|', PER_HEAD);
    default:
      return formatFamily(pattern);
  }
}

/** kind(name=value,name=[value,value]). */
function formatFamily(pattern: FamilyPattern): { text: string; binds: number } | undefined {
  const values = pattern as unknown as Readonly<Record<string, unknown>>;
  const parameters: string[] = [];
  for (const [name, field] of Object.entries<Field>(definitionOf(pattern).fields)) {
    const value = values[name];
    if (value === undefined) continue;
    const text = field.type === 'pattern' ? formatPart(value as Pattern)?.text : formatValue(value);
    if (text === undefined) return undefined;
    parameters.push(`${name}=${text}`);
  }
  return { text: `${pattern.kind}(${parameters.join(',')})`, binds: ATOM };
}

function formatValue(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(formatValue).join(',')}]` : String(value);
}

function join(parts: readonly Pattern[], operator: string, binds: number): { text: string; binds: number } | undefined {
  if (parts.length < 2) return undefined;
  const texts: string[] = [];
  for (const part of parts) {
    const inner = formatPart(part);
    if (inner === undefined) return undefined;
    texts.push(inner.binds > binds ? inner.text : `(${inner.text})`);
  }
  return { text: texts.join(operator), binds };
}

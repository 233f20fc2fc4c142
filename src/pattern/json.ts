import * as v from 'valibot';
import { PatternError } from '../errors.ts';
import { checkPattern, checkSize, DIRECTIONS, PATTERN_KINDS } from './check.ts';
import type { Field } from './kinds/definition.ts';
import { FAMILIES, isFamilyKind } from './kinds/registry.ts';
import type { Pattern } from './pattern.ts';
import { show } from './values.ts';

function integer(least: number) {
  const what = `it must be an integer from ${least} to 2^53 - 1`;
  return v.pipe(v.number(what), v.safeInteger(what), v.minValue(least, what));
}

const count = integer(0);
const distance = integer(1);

const parts = v.pipe(
  v.array(
    v.lazy(() => schema),
    'it must be a list of patterns',
  ),
  v.minLength(1, 'it must have at least one pattern'),
);

const core: v.GenericSchema<Pattern> = v.variant(
  'kind',
  [
    v.strictObject({ kind: v.literal('dense') }),
    v.strictObject({ kind: v.literal('causal') }),
    v.strictObject({ kind: v.literal('window'), left: count, right: count, dilation: v.exactOptional(distance) }),
    v.strictObject({ kind: v.literal('sinks'), count }),
    v.strictObject({
      kind: v.literal('global'),
      positions: v.array(count, 'it must be a list of positions'),
      direction: v.exactOptional(v.picklist(DIRECTIONS, `it must be one of ${DIRECTIONS.join(', ')}`)),
    }),
    v.strictObject({ kind: v.literal('union'), of: parts }),
    v.strictObject({ kind: v.literal('intersect'), of: parts }),
    v.strictObject({ kind: v.literal('complement'), of: v.lazy(() => schema) }),
    v.strictObject({ kind: v.literal('perHead'), heads: parts }),
  ],
  (issue) =>
    issue.path?.at(-1)?.key === 'kind'
      ? `it must be one of ${PATTERN_KINDS.join(', ')}`
      : `it must be an object with a kind: one of ${PATTERN_KINDS.join(', ')}`,
);

/** The schema of a parameter of the kinds that kinds/ defines. */
function fieldSchema(field: Field): v.GenericSchema {
  switch (field.type) {
    case 'integer':
      return integer(field.least);
    case 'word':
      return v.picklist(field.words, `it must be one of ${field.words.join(', ')}`);
    case 'flag':
      return v.literal(true, 'it must be true or absent');
    case 'list': {
      const least = field.least ?? 0;
      const what = `it must be a list${least > 0 ? ` of at least ${least}` : ''}`;
      return v.pipe(v.array(fieldSchema(field.item), what), v.minLength(least, what));
    }
    case 'pattern':
      return v.lazy(() => schema);
  }
}

const families = new Map<string, v.GenericSchema<Pattern>>();
for (const [kind, { fields }] of Object.entries(FAMILIES)) {
  const entries: v.ObjectEntries = { kind: v.literal(kind) };
  for (const [name, field] of Object.entries(fields)) {
    const own = fieldSchema(field);
    entries[name] = field.optional ? v.exactOptional(own) : own;
  }
  families.set(kind, v.strictObject(entries) as unknown as v.GenericSchema<Pattern>);
}

const schema: v.GenericSchema<Pattern> = v.lazy((value) => {
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
  return (isFamilyKind(kind) ? families.get(kind) : undefined) ?? core;
});

/**
 * Checks a value that came from JSON and returns it as a pattern, a fresh object. The reverse is JSON.stringify. Unknown
 * fields, nesting deeper than 32 and more than 4096 parts are refused. Throws PatternError that names the place, such as
 * `of[1].left`.
 */
export function parsePatternJson(value: unknown): Pattern {
  checkNesting(value);
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) {
    checkPattern(result.output);
    return result.output;
  }
  const [issue] = result.issues;
  const path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  const place = path === '' ? 'the pattern' : path.replace(/^\./, '');
  if (issue.type === 'strict_object') {
    const what = issue.expected === 'never' ? 'is not a field of this kind of pattern' : 'is missing';
    throw new PatternError(`pattern JSON: ${place} ${what}`);
  }
  throw new PatternError(`pattern JSON: ${place} is ${show(issue.input)}; ${issue.message}`);
}

/** Walks the parts without recursion, before the schema does so with it: depth, number of parts, perHead in perHead. */
function checkNesting(value: unknown): void {
  const open: { value: unknown; path: string; depth: number; perHead: boolean }[] = [
    { value, path: '', depth: 0, perHead: false },
  ];
  let seen = 0;
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    const { value, path, depth } = part;
    checkSize(depth, ++seen);
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      throw new PatternError(
        `pattern JSON: ${path === '' ? 'the pattern' : path} is ${show(value)}; it must be one object`,
      );
    }
    const { kind, of, heads } = value as { kind?: unknown; of?: unknown; heads?: unknown };
    if (kind === 'perHead' && part.perHead) {
      throw new PatternError(`pattern JSON: ${path} is a perHead inside another perHead; give each head one pattern`);
    }
    const perHead = part.perHead || kind === 'perHead';
    if (kind === 'complement' || kind === 'shift') {
      open.push({ value: of, path: `${path === '' ? '' : `${path}.`}of`, depth: depth + 1, perHead });
    }
    for (const [field, list] of Object.entries({ of, heads })) {
      if (!Array.isArray(list)) continue;
      checkSize(depth, seen + open.length + list.length);
      for (const [i, inner] of list.entries()) {
        open.push({ value: inner, path: `${path === '' ? '' : `${path}.`}${field}[${i}]`, depth: depth + 1, perHead });
      }
    }
  }
}

import { counted } from '../../counted.ts';
import { ArgumentError } from '../../errors.ts';
import { BINARIES, type Expression, LEAVES, type Lookup, UNARIES } from './expression.ts';
import { MAXIMUM_AXES, type ScoreModifier, type ScoreParameter } from './modifier.ts';

/** Deepest nesting, and most parts, that an expression may have. */
export const MAXIMUM_DEPTH = 64;
export const MAXIMUM_PARTS = 2048;

/** Positions are float32 numbers in an expression: the next integer would be rounded. */
const MAXIMUM_POSITION = 2 ** 24;

/** What the leaves of an expression run up to, in one attention call. */
export interface ScoreSizes {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly queryOffset: number;
}

/**
 * Checks a modifier as it may come from anyone: shape of the tree, names, index counts, parameter shapes, and that an axis which
 * is indexed by head, batch, row, q or k alone is 1 or long enough. Other indices depend on the pair and are clamped.
 * @throws ArgumentError that says where in the tree the fault is.
 */
export function checkScore(modifier: ScoreModifier, sizes: ScoreSizes): void {
  if (typeof modifier !== 'object' || modifier === null || typeof modifier.expression !== 'object')
    fail(`score must be a modifier { expression, parameters }, got ${show(modifier)}`);
  const parameters = modifier.parameters ?? {};
  for (const [name, parameter] of Object.entries(parameters)) checkParameter(name, parameter);
  const used = new Set<string>();
  checkExpression(modifier.expression, (lookup, path) => {
    const parameter = Object.hasOwn(parameters, lookup.parameter) ? parameters[lookup.parameter] : undefined;
    if (!parameter) fail(`${path} looks up '${lookup.parameter}'; the parameters are ${list(Object.keys(parameters))}`);
    if (lookup.indices.length !== parameter.shape.length) {
      fail(
        `${path} gives ${counted(lookup.indices.length, 'index', 'indices')} to '${lookup.parameter}', ` +
          `whose shape [${parameter.shape.join(', ')}] has ${counted(parameter.shape.length, 'axis', 'axes')}`,
      );
    }
    checkAxes(lookup, parameter, sizes, path);
    used.add(lookup.parameter);
  });
  for (const name of Object.keys(parameters)) {
    if (!used.has(name)) fail(`the parameter '${name}' is looked up nowhere in the expression`);
  }
  const last = Math.max(sizes.keys, sizes.queries + sizes.queryOffset);
  if (last > MAXIMUM_POSITION || sizes.queryOffset < -MAXIMUM_POSITION)
    fail(`positions reach ${last}; expressions are exact up to ${MAXIMUM_POSITION}`);
}

/** Checks the tree alone, and shows every look-up to `visit`. */
export function checkExpression(
  expression: Expression,
  visit: (lookup: Lookup, path: string) => void = () => {},
): void {
  let parts = 0;
  const walk = (part: Expression, path: string, depth: number): void => {
    if (depth > MAXIMUM_DEPTH) fail(`the expression is nested more than ${MAXIMUM_DEPTH} deep`);
    if (++parts > MAXIMUM_PARTS) fail(`the expression has more than ${MAXIMUM_PARTS} parts`);
    if (typeof part !== 'object' || part === null) fail(`${path} must be an expression, got ${show(part)}`);
    const kind: string = part.kind;
    if (kind === 'constant') {
      const { value } = part as { value: unknown };
      if (typeof value !== 'number' || !Number.isFinite(Math.fround(value)))
        fail(`${path}.value must be a finite float32 number, got ${show(value)}`);
    } else if (kind === 'lookup') {
      const lookup = part as Lookup;
      if (typeof lookup.parameter !== 'string') fail(`${path}.parameter must be a name, got ${show(lookup.parameter)}`);
      if (!Array.isArray(lookup.indices)) fail(`${path}.indices must be a list, got ${show(lookup.indices)}`);
      visit(lookup, path);
      for (const [i, index] of lookup.indices.entries()) walk(index, `${path}.indices[${i}]`, depth + 1);
    } else {
      const operands = operandsOf(kind);
      if (!operands) fail(`${path}.kind is ${show(kind)}, which is no operation`);
      for (const name of operands)
        walk((part as unknown as Record<string, Expression>)[name], `${path}.${name}`, depth + 1);
    }
  };
  walk(expression, 'expression', 1);
}

/** The names of an operation's operands, undefined for an unknown operation. */
function operandsOf(kind: string): readonly string[] | undefined {
  const among = (kinds: readonly string[]) => kinds.includes(kind);
  if (among(LEAVES)) return [];
  if (among(UNARIES)) return ['of'];
  if (among(BINARIES)) return ['left', 'right'];
  return kind === 'select' ? ['condition', 'ifTrue', 'ifFalse'] : undefined;
}

function checkParameter(name: string, parameter: ScoreParameter): void {
  const { data, shape } = parameter;
  if (!(data instanceof Float32Array)) fail(`the data of parameter '${name}' must be a Float32Array`);
  const fine = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 1);
  if (!fine || shape.length < 1 || shape.length > MAXIMUM_AXES)
    fail(`the shape of parameter '${name}' must be one to ${MAXIMUM_AXES} positive sizes, got ${show(shape)}`);
  const count = shape.reduce((product, size) => product * size, 1);
  if (data.length !== count)
    fail(`parameter '${name}' has ${counted(data.length, 'number')}, its shape [${shape.join(', ')}] needs ${count}`);
}

function checkAxes({ parameter, indices }: Lookup, { shape }: ScoreParameter, sizes: ScoreSizes, path: string): void {
  const limits: Record<string, number> = {
    head: sizes.heads,
    batch: sizes.batch,
    row: sizes.queries,
    q: sizes.queries + sizes.queryOffset,
    k: sizes.keys,
  };
  for (const [axis, index] of indices.entries()) {
    const limit = limits[index?.kind];
    if (limit === undefined || shape[axis] === 1 || shape[axis] >= limit) continue;
    fail(
      `${path} indexes axis ${axis} of '${parameter}' [${shape.join(', ')}] by ${index.kind}, ` +
        `which runs to ${limit - 1}: the axis must be 1 or at least ${limit}`,
    );
  }
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `'${name}'`).join(', ');
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(show).join(', ')}]`;
  return typeof value === 'string'
    ? `'${value.slice(0, 40)}'`
    : typeof value === 'object' && value
      ? 'an object'
      : String(value);
}

function fail(what: string): never {
  throw new ArgumentError(`attention: ${what}`);
}

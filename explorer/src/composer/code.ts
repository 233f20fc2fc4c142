/** The page's patterns as something to take away: TypeScript, JSON, and a command. */
import { formatPattern, type Pattern } from '../../../src/pattern/index.ts';

/** What there is to take away. */
export interface Takeaway {
  /** A pattern for each layer in turn. */
  readonly patterns: readonly Pattern[];
  readonly tokens: number;
  readonly heads: number;
}

/** A program that makes the pattern with the package's constructors and runs attention over it. */
export function toTypeScript({ patterns, tokens, heads }: Takeaway): string {
  const imports = new Set(['attention']);
  const types = new Set<string>();
  const texts = patterns.map((pattern) => expression(pattern, imports));
  const [only] = texts;
  const isOne = patterns.length === 1 && only !== undefined;
  if (!isOne) {
    imports.add('layerPattern');
    imports.add('perLayer');
  } else if (only.startsWith('{')) types.add('Pattern');
  const names = [...[...imports].sort(), ...[...types].map((name) => `type ${name}`)].join(', ');
  const type = types.size > 0 ? ': Pattern' : '';
  const made = isOne
    ? `const pattern${type} = ${only};`
    : `// A pattern for each layer in turn.\nconst layers = perLayer([\n${texts.map((text) => `  ${text},`).join('\n')}\n]);\nconst pattern = layerPattern(layers, 0);`;
  return [
    `import { ${names} } from 'farfield';`,
    '',
    made,
    '',
    `const shape = [1, ${heads}, ${tokens}, 64] as const; // batch, heads, tokens, width`,
    `const tensor = () => ({ data: new Float32Array(${heads} * ${tokens} * 64).fill(0.1), shape });`,
    'const { output } = await attention({ q: tensor(), k: tensor(), v: tensor(), pattern });',
  ].join('\n');
}

/** The pattern as parsePatternJson() reads it; of several layers a list. */
export function toJson({ patterns }: Takeaway): string {
  return JSON.stringify(patterns.length === 1 ? patterns[0] : patterns, undefined, 1);
}

/** Command lines for the patterns, one below the other. */
export function toCommand({ patterns, tokens, heads }: Takeaway): string {
  const distinct = [...new Set(patterns.map(formatPattern))];
  const many = heads > 1 ? ` --heads ${heads}` : '';
  return distinct
    .map((text) => `npx farfield mask --pattern ${quoted(text)} --length ${tokens}${many} --svg mask.svg`)
    .join('\n');
}

/** For a shell: double quotes, which every one knows, unless the text has something that they do not protect. */
function quoted(text: string): string {
  return /["!$`\\]/.test(text) ? `'${text}'` : `"${text}"`;
}

/** An expression that makes exactly this data. `imports` collects the constructors that it calls. */
export function expression(pattern: Pattern, imports: Set<string>): string {
  const call = (name: string, ...given: readonly string[]): string => {
    imports.add(name);
    return `${name}(${given.join(', ')})`;
  };
  const part = (own: Pattern): string => expression(own, imports);
  switch (pattern.kind) {
    case 'dense':
    case 'causal':
      return call(pattern.kind);
    case 'window': {
      const { kind: _, ...own } = pattern;
      return call('window', own.left === own.right && own.dilation === undefined ? String(own.left) : object(own));
    }
    case 'sinks':
      return call('sinks', String(pattern.count));
    case 'global':
      return call('globalTokens', object(without(pattern, 'kind')));
    case 'union':
    case 'intersect':
      if (pattern.of.length < 2) return object(pattern);
      return call(pattern.kind, ...pattern.of.map(part));
    case 'complement':
      return call('complement', part(pattern.of));
    case 'perHead':
      return call('perHead', `[${pattern.heads.map(part).join(', ')}]`);
    case 'shift':
      return call('shift', part(pattern.of), object({ queries: pattern.queries, keys: pattern.keys }));
    case 'strided':
      return call('strided', String(pattern.stride));
    case 'prefixLm':
      return call('prefixLm', String(pattern.prefix));
    case 'diagonals':
      return call('diagonals', value(pattern.offsets));
    case 'ordered':
      return call('ordered', value(pattern.positions));
    case 'transientGlobal':
      return call('longT5TransientGlobal', object(without(pattern, 'kind')));
    case 'blockPermutation':
      return call('blockPermutation', object({ block: pattern.block, permutations: [pattern.permutation] }));
    case 'documents': {
      const { lengths, starts } = pattern;
      if (starts === undefined) return call('documents', object({ lengths }));
      return call('documents', object({ spans: starts.map((start, i) => [start, start + (lengths[i] ?? 0)]) }));
    }
    case 'bigBird': {
      const { kind: _, table, blocks, ...own } = pattern;
      if (table !== undefined) return call('bigBird', object({ ...own, tables: [table] }));
      // The constructor has defaults where the data has nothing.
      if (own.random === undefined || own.seed === undefined) return object(pattern);
      return call('bigBird', object({ ...own, ...(blocks !== undefined && { length: blocks * own.block }) }));
    }
    case 'randomBlocks': {
      const { kind: _, blocks, ...own } = pattern;
      if (own.window !== undefined || own.global !== undefined) return object(pattern);
      return call('randomBlocks', object({ ...own, ...(blocks !== undefined && { length: blocks * own.block }) }));
    }
    case 'columns':
    case 'rows':
    case 'fixed':
    case 'blockLocal':
    case 'blocks':
    case 'randomTokens':
    case 'axial':
    case 'neighbourhood':
    case 'shiftedWindows':
    case 'aShape':
    case 'verticalSlash':
      return call(pattern.kind, object(without(pattern, 'kind')));
    default:
      return object(pattern);
  }
}

function without<T extends object>(from: T, name: keyof T): object {
  const { [name]: _, ...rest } = from;
  return rest;
}

function object(of: object): string {
  const entries = Object.entries(of).filter(([, own]) => own !== undefined);
  return entries.length === 0 ? '{}' : `{ ${entries.map(([name, own]) => `${name}: ${value(own)}`).join(', ')} }`;
}

function value(of: unknown): string {
  if (Array.isArray(of)) return `[${of.map(value).join(', ')}]`;
  if (typeof of === 'object' && of !== null) return object(of);
  return typeof of === 'string' ? `'${of}'` : String(of);
}

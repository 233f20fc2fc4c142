import { existsSync, globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const source = fileURLToPath(new URL('../src', import.meta.url));

/** From the ground up; each imports only from the layers before it, and from itself. */
const layers = [
  'pattern',
  'mask',
  'attention',
  'mechanism',
  'graph',
  'checkpoint',
  'text',
  'model',
  'train',
  'task',
  'cli',
];

/** What every layer may import. */
const free = new Set(['errors.ts', 'counted.ts']);

const nodeModules = new Set([...builtinModules, 'onnxruntime-node']);

interface Import {
  readonly from: string;
  readonly line: number;
  /** Whether loading the file loads this module: a declaration that is not only of types. */
  readonly loads: boolean;
}

const TYPE = ts.SyntaxKind.TypeKeyword;

/** Every module that a file names: import and export declarations, import(), import types, and `new URL('...', import.meta.url)`. */
function importsOf(file: string, text: string): Import[] {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: Import[] = [];
  const add = (node: ts.Node | undefined, loads = false): void => {
    if (node === undefined || !ts.isStringLiteralLike(node)) return;
    found.push({ from: node.text, line: tree.getLineAndCharacterOfPosition(node.getStart()).line + 1, loads });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.phaseModifier !== TYPE);
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, !node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0]);
    else if (ts.isNewExpression(node) && node.expression.getText() === 'URL' && node.arguments?.length === 2) {
      const [target] = node.arguments;
      if (target !== undefined && ts.isStringLiteralLike(target) && target.text.startsWith('.')) add(target);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** The broken rules of one file, named from src/, as sentences. */
function violations(name: string, text: string): string[] {
  const layer = name.includes('/') ? name.slice(0, name.indexOf('/')) : '';
  const rank = layers.indexOf(layer);
  const mayUseNode = layer === 'cli' || basename(name).includes('node');
  return importsOf(name, text).flatMap(({ from, line }) => {
    const place = `src/${name}:${line}`;
    if (!from.startsWith('.')) {
      const isNode = from.startsWith('node:') || nodeModules.has(from.split('/')[0] ?? '');
      return isNode && !mayUseNode
        ? [`${place} imports ${from}; only cli/ and files named *node*.ts may, so that the rest runs in browsers`]
        : [];
    }
    const target = relative(source, join(source, dirname(name), from))
      .split(sep)
      .join('/');
    if (free.has(target)) return [];
    const [targetLayer = ''] = target.split('/');
    if (targetLayer === '..') return layer === 'cli' ? [] : [`${place} imports ${from}, which is outside src/`];
    const targetRank = layers.indexOf(targetLayer);
    // The package's own face, src/index.ts, stands on every layer but cli/.
    if (layer === '') return targetLayer === 'cli' ? [`${place} imports ${from}; only the command uses cli/`] : [];
    if (targetRank === -1) return [`${place} imports ${from}, which belongs to no layer`];
    return targetRank <= rank ? [] : [`${place} imports ${from}: ${layer}/ stands below ${targetLayer}/`];
  });
}

/** The chains of loaded files that lead from one file to a module of Node. */
function waysToNode(face: string): string[] {
  const ways: string[] = [];
  const seen = new Set<string>();
  const visit = (name: string, way: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const { from, loads } of importsOf(name, readFileSync(join(source, name), 'utf8'))) {
      if (!loads) continue;
      if (from.startsWith('.')) visit(join(dirname(name), from), `${way} > ${from}`);
      else if (from.startsWith('node:') || nodeModules.has(from)) ways.push(`${way} > ${from}`);
    }
  };
  visit(face, face);
  return ways;
}

describe('the layers', () => {
  const files = globSync('**/*.ts', { cwd: source, exclude: ['**/*.test.ts', 'attention/wasm/kernel/**'] });

  it('are folders of src/ in the order of docs/architecture.md', () => {
    const folders = new Set(files.filter((file) => file.includes(sep)).map((file) => file.split(sep)[0]));
    expect([...folders].filter((folder) => !layers.includes(folder ?? ''))).toEqual([]);
    expect(files.length).toBeGreaterThan(10);
  });

  it('import only from the layers they stand on, and from Node only where a browser does not come', () => {
    const broken = files.flatMap((file) =>
      violations(file.split(sep).join('/'), readFileSync(join(source, file), 'utf8')),
    );
    expect(broken).toEqual([]);
  });

  it('have faces that load in a browser: what needs Node is behind import()', () => {
    const faces = layers.filter((layer) => layer !== 'cli').map((layer) => `${layer}/index.ts`);
    const chains = ['index.ts', ...faces].filter((face) => existsSync(join(source, face))).flatMap(waysToNode);
    expect(chains).toEqual([]);
  });

  it.each([
    ['pattern/a.ts', `import { compileMask } from '../mask/index.ts';`],
    ['mask/a.ts', `export * from '../attention/types.ts';`],
    ['graph/a.ts', `type T = import('../model/index.ts').Model;`],
    ['text/a.ts', `const m = await import('../cli/main.ts');`],
    ['attention/a.ts', `new Worker(new URL('../graph/worker.ts', import.meta.url));`],
    ['attention/a.ts', `import { cpus } from 'node:os';`],
    ['attention/a.ts', `import { cpus } from 'os';`],
    ['graph/a.ts', `import type { Tensor } from 'onnxruntime-node';`],
    ['model/a.ts', `import x from '../../scripts/build.ts';`],
    ['index.ts', `export * from './cli/main.ts';`],
  ])('are broken by %s with %s', (file, text) => {
    expect(violations(file, text)).toHaveLength(1);
  });

  it.each([
    ['mask/a.ts', `import type { Pattern } from '../pattern/index.ts'; import { MemoryError } from '../errors.ts';`],
    ['graph/run-node.ts', `import { InferenceSession } from 'onnxruntime-node'; import 'node:fs';`],
    ['cli/a.ts', `import 'node:os'; import '../model/index.ts'; new URL('../../package.json', import.meta.url);`],
    ['text/a.ts', `// import 'node:fs'\nconst s = "import 'node:fs'";`],
    ['index.ts', `export * from './pattern/index.ts';`],
  ])('allow %s with %s', (file, text) => {
    expect(violations(file, text)).toEqual([]);
  });
});

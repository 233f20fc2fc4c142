/** Every kind of pattern that is no composition: its name for people, its parameters, and one to begin with. */
import { DIRECTIONS } from '../../../src/pattern/check.ts';
import type { Pattern } from '../../../src/pattern/index.ts';
import { count, counts, type Field, positive } from '../../../src/pattern/kinds/definition.ts';
import { FAMILIES, isFamilyKind } from '../../../src/pattern/kinds/registry.ts';

/** The parameters of the kinds that have no entry in FAMILIES. */
const CORE: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  dense: {},
  causal: {},
  window: { left: count, right: count, dilation: { ...positive, optional: true } },
  sinks: { count },
  global: { positions: counts, direction: { type: 'word', words: DIRECTIONS, optional: true } },
};

const TITLES: Readonly<Record<string, string>> = {
  dense: 'Dense',
  causal: 'Causal',
  window: 'Window',
  sinks: 'Sinks',
  global: 'Global tokens',
  union: 'Any of',
  intersect: 'All of',
  complement: 'Not',
  perHead: 'Heads in turn',
  columns: 'Columns',
  rows: 'Rows',
  diagonals: 'Diagonals',
  sameCoordinate: 'Same coordinate',
  strided: 'Strided',
  fixed: 'Fixed',
  blockLocal: 'Local blocks',
  blocks: 'Table of blocks',
  blockPermutation: 'Block permutation',
  randomTokens: 'Random tokens',
  randomBlocks: 'Random blocks',
  bigBird: 'BigBird',
  axial: 'Axial',
  neighbourhood: 'Neighbourhood',
  shiftedWindows: 'Shifted windows',
  ball: 'Ball',
  documents: 'Documents',
  groups: 'Groups',
  ordered: 'Causal by positions',
  shift: 'Shifted',
  prefixLm: 'Prefix LM',
  aShape: 'A-shape',
  verticalSlash: 'Vertical-slash',
  transientGlobal: 'Transient global',
};

export function titleOf(kind: string): string {
  return TITLES[kind] ?? kind;
}

/** Parameters of a part, without those that are patterns. */
export function fieldsOf(pattern: Pattern): readonly (readonly [string, Field])[] {
  const fields = isFamilyKind(pattern.kind) ? FAMILIES[pattern.kind].fields : (CORE[pattern.kind] ?? {});
  return Object.entries(fields).filter(([, field]) => field.type !== 'pattern');
}

/** The rows and columns of a grid of n cells, as square as it can be. */
export function gridOf(n: number): readonly [number, number] {
  let rows = Math.floor(Math.sqrt(n));
  while (n % rows !== 0) rows--;
  return [rows, n / rows];
}

/** A part of each kind to begin with, of a size that shows at n tokens. */
export function startingParts(n: number): readonly Pattern[] {
  const some = (share: number, least = 1): number => Math.max(least, Math.round(n * share));
  const side = Math.max(4, 2 ** Math.round(Math.log2(n / 16)));
  const grid = gridOf(n);
  const quarter = Math.floor(n / 4);
  return [
    { kind: 'window', left: some(1 / 16), right: some(1 / 16) },
    { kind: 'window', left: 8, right: 8, dilation: Math.max(2, some(1 / 64)) },
    { kind: 'causal' },
    { kind: 'sinks', count: 4 },
    { kind: 'global', positions: [0, Math.floor(n / 2)] },
    { kind: 'dense' },
    { kind: 'strided', stride: some(1 / 12, 2) },
    { kind: 'fixed', stride: some(1 / 12, 2), summary: 2 },
    { kind: 'blockLocal', block: side, back: 1 },
    { kind: 'bigBird', block: side, window: 3, global: 1, random: 2, seed: 1 },
    { kind: 'randomTokens', count: 4, seed: 1 },
    { kind: 'randomBlocks', block: side, count: 2, seed: 1 },
    { kind: 'blockPermutation', block: Math.ceil(n / 4), permutation: [1, 2, 3, 0] },
    { kind: 'blocks', block: Math.ceil(n / 4), table: [[0], [0, 3], [1, 2], [3]] },
    { kind: 'axial', grid, axes: [[0], [1]] },
    { kind: 'neighbourhood', grid, radius: [2, 2] },
    { kind: 'shiftedWindows', grid, window: [4, 4], shift: [2, 2] },
    { kind: 'ball', grid, power: 2, limit: 9 },
    { kind: 'documents', lengths: [quarter, n - 3 * quarter, quarter, quarter] },
    { kind: 'groups', ids: Array.from({ length: Math.min(n, 4096) }, (_, i) => Math.floor(i / 8) % 3) },
    {
      kind: 'ordered',
      positions: Array.from({ length: Math.min(n, 4096) }, (_, i, half = Math.min(n, 4096) / 2) =>
        i < half ? i : Math.floor(3 * half) - 1 - i,
      ),
    },
    { kind: 'prefixLm', prefix: quarter },
    { kind: 'aShape', sinks: 4, window: some(1 / 8) },
    { kind: 'verticalSlash', vertical: [0, 1, quarter], slash: [0, 1, 2, quarter] },
    { kind: 'transientGlobal', summaries: 8, radius: some(1 / 16) },
    { kind: 'columns', start: 0, count: 2, period: some(1 / 8, 2) },
    { kind: 'rows', start: 0, count: 2, period: some(1 / 8, 2) },
    { kind: 'diagonals', offsets: [0, quarter] },
    { kind: 'sameCoordinate', period: some(1 / 4, 4), width: 1 },
    { kind: 'shift', queries: 0, keys: quarter, of: { kind: 'window', left: some(1 / 16), right: some(1 / 16) } },
  ];
}

/** A part in a few words: its kind and its numbers. */
export function summaryOf(pattern: Pattern): string {
  const values = pattern as unknown as Readonly<Record<string, unknown>>;
  const said = fieldsOf(pattern).flatMap(([name]) => {
    const value = values[name];
    if (value === undefined) return [];
    if (!Array.isArray(value)) return [`${name} ${String(value)}`];
    return [value.length > 4 ? `${name} of ${value.length}` : `${name} ${JSON.stringify(value)}`];
  });
  return said.join(', ');
}

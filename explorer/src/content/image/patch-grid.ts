/** Patterns on the patches of a picture, row after row: their grid, and which patches are read. */
import { compileMask, toCsr } from '../../../../src/mask/index.ts';
import { formatPattern, type Pattern, parsePattern } from '../../../../src/pattern/index.ts';

export interface Grid {
  readonly rows: number;
  readonly columns: number;
}

export const MOST_PATCHES = 1024;
export const FIRST_GRID: Grid = { rows: 12, columns: 16 };

/** The grid of two axes that a pattern or a part of it is meant for; undefined where there is none. */
export function gridOf(pattern: Pattern): Grid | undefined {
  if ('grid' in pattern && pattern.grid.length === 2) return { rows: pattern.grid[0], columns: pattern.grid[1] };
  for (const part of partsOf(pattern)) {
    const found = gridOf(part);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The same pattern on another grid of two axes, in text form. */
export function withGrid(text: string, { rows, columns }: Grid): string {
  const changed = (pattern: Pattern): Pattern => {
    if ('grid' in pattern && pattern.grid.length === 2) return { ...pattern, grid: [rows, columns] };
    if (pattern.kind === 'union' || pattern.kind === 'intersect') return { ...pattern, of: pattern.of.map(changed) };
    if (pattern.kind === 'complement') return { ...pattern, of: changed(pattern.of) };
    if (pattern.kind === 'perHead') return { ...pattern, heads: pattern.heads.map(changed) };
    return pattern;
  };
  return formatPattern(changed(parsePattern(text)));
}

function partsOf(pattern: Pattern): readonly Pattern[] {
  if (pattern.kind === 'union' || pattern.kind === 'intersect') return pattern.of;
  if (pattern.kind === 'complement') return [pattern.of];
  return pattern.kind === 'perHead' ? pattern.heads : [];
}

export interface Preset {
  readonly title: string;
  readonly says: string;
  /** Of the layers in turn. */
  readonly patterns: (grid: Grid) => readonly string[];
}

const axes = ({ rows, columns }: Grid, list: string): string => `axial(grid=[${rows},${columns}],axes=[${list}])`;

export const PRESETS: readonly Preset[] = [
  {
    title: 'Row and column',
    says: 'Axial attention: a patch reads its row and its column.',
    patterns: (grid) => [axes(grid, '[0],[1]')],
  },
  {
    title: 'Rows, then columns',
    says: 'Axial attention with one axis in each layer: two layers connect everything.',
    patterns: (grid) => [axes(grid, '[1]'), axes(grid, '[0]')],
  },
  {
    title: 'Neighbourhood',
    says: 'The 5 x 5 patches around; at the border the window moves inward, so that all read equally many (NATTEN).',
    patterns: ({ rows, columns }) => [`neighbourhood(grid=[${rows},${columns}],radius=[2,2],border=clamp)`],
  },
  {
    title: 'Shifted windows',
    says: 'Swin: windows of 4 x 4, shifted by half a window in every other layer.',
    patterns: ({ rows, columns }) => [
      `shiftedWindows(grid=[${rows},${columns}],window=[4,4])`,
      `shiftedWindows(grid=[${rows},${columns}],window=[4,4],shift=[2,2])`,
    ],
  },
  {
    title: 'Disc',
    says: 'All patches at a distance of at most 3.',
    patterns: ({ rows, columns }) => [`ball(grid=[${rows},${columns}],power=2,limit=9)`],
  },
  {
    title: 'Strided',
    says: 'Sparse Transformer, causal: the last row of patches, and the column above.',
    patterns: ({ columns }) => [`strided(stride=${columns})`],
  },
  {
    title: 'A window of text',
    says: 'What a window of 8 to either side sees that does not know of rows: it runs on into the next row.',
    patterns: () => ['window:8'],
  },
];

/** Whom each token reads in one head of one layer. */
export interface Reads {
  readonly rowStart: ArrayLike<number>;
  readonly columns: ArrayLike<number>;
}

/** Throws what compileMask throws. */
export function readsOf(pattern: string, tokens: number, head: number, heads: number): Reads {
  const mask = compileMask(parsePattern(pattern), {
    queries: tokens,
    keys: tokens,
    heads,
    length: Number.POSITIVE_INFINITY,
  });
  return toCsr(mask, head);
}

/**
 * For each patch the number of layers, up to `most`, after which `patch` depends on it (or, `isReversed`, after which it depends on `patch`);
 * 0 for itself, most + 1 for none of them. Of n layers the first n of `layers` are taken, repeated; a patch keeps what it has.
 */
export function layersUntilRead(
  layers: readonly Reads[],
  tokens: number,
  patch: number,
  most: number,
  isReversed = false,
): Uint8Array {
  const result = new Uint8Array(tokens).fill(most + 1);
  result[patch] = 0;
  for (let depth = 1; depth <= most; depth++) {
    let seen = new Uint8Array(tokens);
    seen[patch] = 1;
    for (let step = 0; step < depth; step++) {
      // Seen from the output, the last layer comes first; seen from the input, the first.
      const own = layers[(isReversed ? step : depth - 1 - step) % layers.length];
      seen = isReversed ? readersOf(own, seen) : keysOf(own, seen);
    }
    for (let token = 0; token < tokens; token++) if (seen[token] === 1) result[token] = Math.min(result[token], depth);
  }
  return result;
}

function keysOf({ rowStart, columns }: Reads, seen: Uint8Array): Uint8Array<ArrayBuffer> {
  const next = Uint8Array.from(seen);
  for (let q = 0; q < seen.length; q++) {
    if (seen[q] === 1) for (let pair = rowStart[q]; pair < rowStart[q + 1]; pair++) next[columns[pair]] = 1;
  }
  return next;
}

function readersOf({ rowStart, columns }: Reads, seen: Uint8Array): Uint8Array<ArrayBuffer> {
  const next = Uint8Array.from(seen);
  for (let q = 0; q < seen.length; q++) {
    for (let pair = rowStart[q]; pair < rowStart[q + 1] && next[q] === 0; pair++) next[q] = seen[columns[pair]];
  }
  return next;
}

/** The keys and values that the queries of one chunk look at, gathered from the pieces of a pattern's cover. */
import { PatternError } from '../../errors.ts';
import type { GlobalTokens } from '../import/batch-attention.ts';
import { type Allowed, all, isAmong } from './allowed-pairs.ts';
import type { Emitter } from './emitter.ts';
import type { BlockTable, KeyCover } from './key-cover.ts';

/** Keys and values that some queries look at, K of them. */
export interface Keys {
  /** [B, G, K, D] */
  readonly k: string;
  /** [B, G, K, E] */
  readonly v: string;
  /** int64 [K] */
  readonly positions: string;
  /** bool [K]: not there twice, and not beyond the text. */
  readonly isOnce: Allowed;
  /** bool [B, K] or [1, K] */
  readonly mask: string | undefined;
  /** bool [K]: global tokens, whatever the pattern says of them. */
  readonly isGlobal?: Allowed;
  /** float32 [K], added to the scores. */
  readonly bias?: string | undefined;
  readonly tableRow: (table: BlockTable) => string;
}

/** What keys are gathered from. */
export interface KeySource {
  readonly cover: KeyCover;
  /** [B, G, M, D] */
  readonly k: string;
  /** [B, G, M, E] */
  readonly v: string;
  /** bool [B, M] */
  readonly keyMask: string | undefined;
  readonly globals: GlobalTokens | undefined;
  /** M, as a vector of one int64. */
  readonly keys: string;
  /** Queries of a chunk. */
  readonly chunk: number;
}

/** The keys that the queries of one chunk look at; `start` is the position of its first query. */
export function chunkKeys(body: Emitter, source: KeySource, start: string): Keys {
  const { k, v, globals, keys, chunk } = source;
  // Global tokens are gathered by themselves, so elsewhere they are as if masked.
  const keyMask = globals === undefined ? source.keyMask : maskOf(body, source.keyMask, globals.mask, false);
  const { reach, columns, table } = source.cover;
  const zero = body.int64(0);
  const parts: { k: string; v: string; positions: string; isOnce: Allowed; mask: string | undefined }[] = [];
  let near: { from: string; to: string } | undefined;
  if (reach !== undefined) {
    const back =
      reach.back === Infinity
        ? zero
        : body.op('Max', [body.op('Sub', [start, body.int64(reach.back)], 'int64'), zero], 'int64');
    const from = body.op('Min', [back, body.op('Sub', [keys, body.int64(1)], 'int64')], 'int64');
    const ahead = reach.ahead === Infinity ? keys : body.op('Add', [start, body.int64(chunk + reach.ahead)], 'int64');
    const to = body.op(
      'Max',
      [body.op('Min', [ahead, keys], 'int64'), body.op('Add', [from, body.int64(1)], 'int64')],
      'int64',
    );
    near = { from, to };
    const slice = (value: string, axis: number, type?: 'bool'): string =>
      body.op('Slice', [value, from, to, body.int64(axis)], type);
    parts.push({
      k: slice(k, 2),
      v: slice(v, 2),
      positions: body.range(from, to),
      isOnce: true,
      mask: keyMask && slice(keyMask, 1, 'bool'),
    });
  }
  /** Whether positions are keys that the neighbours have not. */
  const isElsewhere = (positions: string): Allowed => {
    const exists = body.op('Less', [positions, keys], 'bool');
    if (near === undefined) return exists;
    const before = body.op('Less', [positions, near.from], 'bool');
    const after = body.op('LessOrEqual', [near.to, positions], 'bool');
    return all(body, [exists, body.op('Or', [before, after], 'bool')]);
  };
  const last = body.op('Sub', [keys, body.int64(1)], 'int64');
  const gathered = (positions: string, isOnce: Allowed): void => {
    const safe = body.op('Max', [body.op('Min', [positions, last], 'int64'), zero], 'int64');
    parts.push({
      k: body.gather(k, safe, 2),
      v: body.gather(v, safe, 2),
      positions,
      isOnce,
      mask: keyMask && body.gather(keyMask, safe, 1, 'bool'),
    });
  };
  if (columns.length > 0) {
    const positions = body.int64(...columns);
    gathered(positions, isElsewhere(positions));
  }
  let tableRow: Keys['tableRow'] = () => {
    throw new PatternError('a table of blocks is not in the cover');
  };
  if (table !== undefined) {
    const rowOf = (each: BlockTable): string => tableRowOf(body, each, start);
    tableRow = (each) => body.cast(rowOf(each), 'int32');
    const blocks = rowOf(table);
    const isBlock = body.op('LessOrEqual', [zero, blocks], 'bool');
    const steps = body.edit.constant(
      'int64',
      BigInt64Array.from({ length: table.block }, (_, j) => BigInt(j)),
      [1, table.block],
    );
    const firsts = body.op(
      'Unsqueeze',
      [body.op('Mul', [blocks, body.int64(table.block)], 'int64'), body.int64(1)],
      'int64',
    );
    const positions = body.op('Reshape', [body.op('Add', [firsts, steps], 'int64'), body.int64(-1)], 'int64');
    const valid = body.op(
      'Expand',
      [
        body.op('Unsqueeze', [isBlock, body.int64(1)], 'bool'),
        body.op('Shape', [body.op('Add', [firsts, steps], 'int64')], 'int64'),
      ],
      'bool',
    );
    const among = isAmong(body, body.cast(positions, 'int32'), columns);
    const isNew = typeof among === 'boolean' ? !among : body.op('Not', [among], 'bool');
    gathered(
      positions,
      all(body, [isElsewhere(positions), body.op('Reshape', [valid, body.int64(-1)], 'bool'), isNew]),
    );
  }
  if (parts.length === 0) {
    // A pattern of global queries alone: others see nothing, which one key that is not allowed says too.
    gathered(zero, false);
  }
  const joined = joinedKeys(body, parts, tableRow);
  return globals === undefined ? joined : withGlobals(body, joined, source, globals);
}

/** bool [B, M]: keys that are not masked and global, or not masked and not global. */
function maskOf(body: Emitter, keyMask: string | undefined, isGlobal: string, wanted: boolean): string {
  const own = wanted ? isGlobal : body.op('Not', [isGlobal], 'bool');
  return keyMask === undefined ? own : body.op('And', [own, keyMask], 'bool');
}

/** The keys, and the global ones after them. */
function withGlobals(body: Emitter, near: Keys, { k, v, keyMask }: KeySource, globals: GlobalTokens): Keys {
  const { places, mask, bias } = globals;
  const own = body.gather(maskOf(body, keyMask, mask, true), places, 1, 'bool');
  const isPlace = filled(body, places, true);
  const none = body.op('Mul', [body.cast(near.positions, 'float32'), body.float(0)]);
  return {
    k: body.concat([near.k, body.gather(k, places, 2)], 2),
    v: body.concat([near.v, body.gather(v, places, 2)], 2),
    positions: body.concat([near.positions, places], 0, 'int64'),
    isOnce:
      near.isOnce === true
        ? true
        : body.concat([near.isOnce === false ? filled(body, near.positions, false) : near.isOnce, isPlace], 0, 'bool'),
    mask: near.mask === undefined ? undefined : body.concat([near.mask, own], 1, 'bool'),
    isGlobal: body.concat([filled(body, near.positions, false), isPlace], 0, 'bool'),
    bias: bias && body.concat([none, bias], 0),
    tableRow: near.tableRow,
  };
}

/** The key blocks int64 [T] of the queries' block in a table, -1 where there are fewer. */
function tableRowOf(body: Emitter, { block, rows }: BlockTable, start: string): string {
  const width = Math.max(1, ...rows.map((row) => row.length));
  // The row after the last one is empty: for the blocks beyond the table, and before the first key.
  const data = new BigInt64Array((rows.length + 1) * width).fill(-1n);
  for (const [i, row] of rows.entries()) for (const [j, each] of row.entries()) data[i * width + j] = BigInt(each);
  const table = body.edit.constant('int64', data, [rows.length + 1, width]);
  const row = body.op('Div', [start, body.int64(block)], 'int64');
  const isThere = body.op('LessOrEqual', [body.int64(0), start], 'bool');
  const end = body.int64(rows.length);
  const own = body.op('Where', [isThere, body.op('Min', [row, end], 'int64'), end], 'int64');
  return body.op('Squeeze', [body.gather(table, own, 0, 'int64'), body.int64(0)], 'int64');
}

function joinedKeys(body: Emitter, parts: readonly Omit<Keys, 'tableRow'>[], tableRow: Keys['tableRow']): Keys {
  const masks = parts.flatMap(({ mask }) => (mask === undefined ? [] : [mask]));
  const isOnce = parts.every((part) => part.isOnce === true)
    ? true
    : parts.every((part) => part.isOnce === false)
      ? false
      : body.concat(
          parts.map(({ isOnce: own, positions }) => (typeof own === 'string' ? own : filled(body, positions, own))),
          0,
          'bool',
        );
  return {
    k: body.concat(
      parts.map((part) => part.k),
      2,
    ),
    v: body.concat(
      parts.map((part) => part.v),
      2,
    ),
    positions: body.concat(
      parts.map((part) => part.positions),
      0,
      'int64',
    ),
    isOnce,
    mask: masks.length === 0 ? undefined : body.concat(masks, 1, 'bool'),
    tableRow,
  };
}

/** The same answer for all positions. */
function filled(body: Emitter, positions: string, answer: boolean): string {
  const isEqual = body.op('Equal', [positions, positions], 'bool');
  return answer ? isEqual : body.op('Not', [isEqual], 'bool');
}

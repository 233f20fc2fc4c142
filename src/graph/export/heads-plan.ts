/** Attention of heads that have one pattern, in standard operators. */
import { ArgumentError, PatternError } from '../../errors.ts';
import type { Pattern } from '../../pattern/index.ts';
import type { BatchAttentionNode, GlobalTokens } from '../import/batch-attention.ts';
import { type Allowed, all, allowedPairs, any } from './allowed-pairs.ts';
import { chunkKeys, type KeySource, type Keys } from './chunk-keys.ts';
import type { Emitter } from './emitter.ts';
import type { KeyCover } from './key-cover.ts';
import { modifiedScores } from './modified-scores.ts';

export interface LowerOptions {
  /** Texts for which random blocks are drawn; a pattern without them takes any length. */
  readonly maximumLength?: number;
  /** Queries that are computed at a time. Default: by the reach of the pattern. */
  readonly chunk?: number;
}

/** Added to the scores of pairs that are not allowed; a row of only these still has a finite softmax. */
const FORBIDDEN = -1e30;

/** Inputs of heads that have one pattern. */
export interface HeadInputs {
  readonly q: string;
  readonly k: string;
  readonly v: string;
  /** Query heads for each key/value head, where it is 1. */
  readonly repeats: number | undefined;
  readonly sinkLogits: string | undefined;
  /** Which heads these are, int64 [H]. Default: all, in their order. */
  readonly numbers?: string;
}

/** The pieces of one pattern's computation that share lengths and inputs. */
export class HeadsPlan {
  readonly #emitter: Emitter;
  readonly #node: BatchAttentionNode;
  readonly #inputs: HeadInputs;
  readonly #pattern: Pattern;
  readonly #cover: KeyCover;
  readonly #maximumLength: number | undefined;
  readonly #chunk: number;
  /** N and M, as vectors of one int64. */
  readonly #queries: string;
  readonly #keys: string;
  /** M - N: a query stands at its row plus that. */
  readonly #offset: string;

  constructor(
    emitter: Emitter,
    node: BatchAttentionNode,
    inputs: HeadInputs,
    pattern: Pattern,
    cover: KeyCover,
    options: LowerOptions,
  ) {
    this.#emitter = emitter;
    this.#node = node;
    this.#inputs = inputs;
    this.#pattern = pattern;
    this.#cover = cover;
    this.#maximumLength = options.maximumLength;
    this.#chunk = chunkOf(cover, options.chunk);
    if (node.lse !== undefined && inputs.sinkLogits !== undefined) {
      throw new ArgumentError(`SparseAttention ${node.name}: its log-sum-exp beside sink logits cannot be exported`);
    }
    this.#queries = emitter.side(inputs.q, 2);
    this.#keys = emitter.side(inputs.k, 2);
    this.#offset = emitter.op('Sub', [this.#keys, this.#queries], 'int64');
  }

  /** The output [B, H, N, E] of all rows, those of global queries among them as if they were none. */
  chunks(): string {
    const emitter = this.#emitter;
    const integers = (operator: string, a: string, b: string): string => emitter.op(operator, [a, b], 'int64');
    const [zero, one] = [emitter.int64(0), emitter.int64(1)];
    const { size, lead } = this.#chunkSize();
    const steps = emitter.range(zero, size);
    const all = lead === undefined ? this.#queries : integers('Add', lead, this.#queries);
    const count = integers('Div', integers('Sub', integers('Add', all, size), one), size);
    const last = integers('Sub', this.#queries, one);
    const stacked = emitter.loop(count, (body, i) => {
      const begin = body.op('Mul', [i, size], 'int64');
      const first = lead === undefined ? begin : body.op('Sub', [begin, lead], 'int64');
      // The first chunk repeats the first query and the last chunk the last one; those rows are cut off afterwards.
      const until = body.op('Min', [body.op('Add', [first, steps], 'int64'), last], 'int64');
      const rows = lead === undefined ? until : body.op('Max', [until, zero], 'int64');
      const start = body.op('Add', [first, this.#offset], 'int64');
      const keys = chunkKeys(body, this.#source(), start);
      const positions = body.op('Add', [rows, this.#offset], 'int64');
      const queries = body.gather(this.#inputs.q, rows, 2);
      return this.#attend(body, queries, positions, keys, this.#pattern, { size });
    });
    // [chunks, B, H, C, E] to [B, H, chunks * C, E], without the rows before the first query and after the last.
    const merged = emitter.op('Reshape', [emitter.transpose(stacked, [1, 2, 0, 3, 4]), this.#mergedShape(stacked)]);
    return emitter.op('Slice', [merged, lead ?? zero, all, emitter.int64(2)]);
  }

  /**
   * Queries of a chunk; a text, or a step with a cache, that is shorter is one chunk. Chunks of a pattern with a table of blocks
   * have one row of the table, so the first begins at a multiple of their size, `lead` places before the first query.
   */
  #chunkSize(): { readonly size: string; readonly lead: string | undefined } {
    const emitter = this.#emitter;
    const whole = emitter.int64(this.#chunk);
    const shorter = emitter.op('Min', [this.#queries, whole], 'int64');
    if (this.#cover.table === undefined) return { size: shorter, lead: undefined };
    const isOne = emitter.op('Equal', [this.#queries, emitter.int64(1)], 'bool');
    const isFromStart = emitter.op('Equal', [this.#offset, emitter.int64(0)], 'bool');
    const isInOneRow = emitter.op('Or', [isOne, isFromStart], 'bool');
    const size = emitter.op('Where', [isInOneRow, shorter, whole], 'int64');
    return { size, lead: emitter.op('Mod', [this.#offset, size], 'int64') };
  }

  /** Puts the rows of global queries, which see keys everywhere, in their places. */
  withRows(banded: string, output: string): void {
    const emitter = this.#emitter;
    const places = emitter.int64(...this.#cover.rows);
    const own = emitter.op('Sub', [places, this.#offset], 'int64');
    const isQuery = emitter.op(
      'And',
      [emitter.op('LessOrEqual', [emitter.int64(0), own], 'bool'), emitter.op('Less', [own, this.#queries], 'bool')],
      'bool',
    );
    // Places outside of the text compute the first row again, and are put nowhere.
    const safe = emitter.op('Where', [isQuery, own, emitter.int64(0)], 'int64');
    const every = this.#everyKey();
    const rows = this.#attend(emitter, emitter.gather(this.#inputs.q, safe, 2), places, every, this.#pattern, {
      rows: this.#cover.rows,
    });
    const everything = emitter.concat([banded, rows], 2);
    const numbers = emitter.op(
      'Add',
      [
        this.#queries,
        emitter.edit.constant('int64', BigInt64Array.from(this.#cover.rows.keys(), BigInt), [this.#cover.rows.length]),
      ],
      'int64',
    );
    const queries = emitter.range(emitter.int64(0), this.#queries);
    const kept = (values: string): string =>
      emitter.op('Compress', [values, isQuery], 'int64', { axis: { type: 'int', value: 0 } });
    const order = emitter.op('ScatterElements', [queries, kept(own), kept(numbers)], 'int64', {
      axis: { type: 'int', value: 0 },
    });
    emitter.op('Gather', [everything, order], 'float32', { axis: { type: 'int', value: 2 } }, output);
  }

  /** Puts the rows of global tokens, which see every key, in their places. */
  withGlobalRows(banded: string, { places }: GlobalTokens, output: string): void {
    const emitter = this.#emitter;
    const queries = emitter.gather(this.#inputs.q, places, 2);
    const rows = this.#attend(emitter, queries, places, this.#everyKey(), { kind: 'dense' }, {});
    const from = this.#queries;
    const to = emitter.op('Add', [from, emitter.side(places, 0)], 'int64');
    const order = emitter.op(
      'ScatterElements',
      [emitter.range(emitter.int64(0), from), places, emitter.range(from, to)],
      'int64',
      { axis: { type: 'int', value: 0 } },
    );
    const axis = { axis: { type: 'int', value: 2 } } as const;
    emitter.op('Gather', [emitter.concat([banded, rows], 2), order], 'float32', axis, output);
  }

  #everyKey(): Keys {
    return {
      k: this.#inputs.k,
      v: this.#inputs.v,
      positions: this.#emitter.range(this.#emitter.int64(0), this.#keys),
      isOnce: true,
      mask: this.#node.inputs.keyMask,
      tableRow: () => {
        throw new PatternError('global queries have no row in a table of blocks');
      },
    };
  }

  #source(): KeySource {
    const { k, v } = this.#inputs;
    const { inputs, globals } = this.#node;
    return { cover: this.#cover, k, v, keyMask: inputs.keyMask, globals, keys: this.#keys, chunk: this.#chunk };
  }

  /**
   * Softmax attention of some queries [B, H, C, D] at positions int64 [C] over the keys: [B, H, C, E]; where the node gives its
   * log-sum-exp, that is one more column.
   */
  #attend(
    body: Emitter,
    queries: string,
    positions: string,
    keys: Keys,
    pattern: Pattern,
    { rows, size }: { readonly rows?: readonly number[]; readonly size?: string },
  ): string {
    const { repeats, sinkLogits } = this.#inputs;
    const { scale, softcap } = this.#node;
    const isGrouped = repeats !== 1;
    const scaled = body.op('Mul', [queries, body.float(scale)]);
    // [B, H, C, D] times [B, H, D, K], or [B, G, H/G, C, D] times [B, G, 1, D, K].
    const grouped = isGrouped ? body.op('Reshape', [scaled, this.#groupedShape()]) : scaled;
    const transposed = body.transpose(keys.k, [0, 1, 3, 2]);
    const [k, v] = isGrouped
      ? [body.op('Unsqueeze', [transposed, body.int64(2)]), body.op('Unsqueeze', [keys.v, body.int64(2)])]
      : [transposed, keys.v];
    let scores = body.op('MatMul', [grouped, k]);
    if (softcap !== undefined) {
      const bounded = body.op('Tanh', [body.op('Div', [scores, body.float(softcap)])]);
      scores = body.op('Mul', [bounded, body.float(softcap)]);
    }
    const allowed = this.#allowed(body, positions, keys, pattern, rows, isGrouped);
    const isModified = this.#node.scores !== undefined && allowed !== false;
    if (isModified) scores = this.#modified(body, scores, positions, keys, isGrouped);
    if (keys.bias !== undefined) scores = body.op('Add', [scores, keys.bias]);
    const forbidden = body.float(FORBIDDEN);
    if (allowed === false) scores = body.op('Add', [body.op('Mul', [scores, body.float(0)]), forbidden]);
    else if (isModified) {
      // A modifier masks with -Infinity, and may give anything for a pair that is not allowed.
      const finite = body.op('Max', [scores, forbidden]);
      scores = allowed === true ? finite : body.op('Where', [allowed, finite, forbidden]);
    } else if (allowed !== true) {
      scores = body.op('Add', [scores, body.op('Where', [allowed, body.float(0), forbidden])]);
    }
    const probabilities = body.op('Softmax', [scores], 'float32', { axis: { type: 'int', value: -1 } });
    let attended = body.op('MatMul', [probabilities, v]);
    if (sinkLogits !== undefined) attended = this.#withSinks(body, attended, scores, sinkLogits, isGrouped);
    if (allowed === false) attended = body.op('Mul', [attended, body.float(0)]);
    else if (isModified) {
      const seesAny = body.op('Less', [forbidden, overLast(body, 'ReduceMax', scores)], 'bool');
      attended = body.op('Mul', [attended, body.cast(seesAny, 'float32')]);
    } else if (allowed !== true) {
      const counts = body.op('ReduceSum', [body.cast(allowed, 'float32'), body.int64(-1)], 'float32', {
        keepdims: { type: 'int', value: 1 },
      });
      attended = body.op('Mul', [attended, body.op('Min', [counts, body.float(1)])]);
    }
    if (this.#node.lse !== undefined) attended = body.concat([attended, overLast(body, 'ReduceLogSumExp', scores)], -1);
    if (!isGrouped) return attended;
    return body.op('Reshape', [attended, this.#ungroupedShape(body, size ?? body.side(positions, 0))]);
  }

  /** Which pairs attend, bool that broadcasts to the scores. */
  #allowed(
    body: Emitter,
    positions: string,
    keys: Keys,
    pattern: Pattern,
    rows: readonly number[] | undefined,
    isGrouped: boolean,
  ): Allowed {
    const pairs = {
      q: body.op('Unsqueeze', [body.cast(positions, 'int32'), body.int64(1)], 'int32'),
      k: body.op('Unsqueeze', [body.cast(keys.positions, 'int32'), body.int64(0)], 'int32'),
      maximumLength: this.#maximumLength,
      tableRow: keys.tableRow,
      ...(rows === undefined ? {} : { rows }),
    };
    const allowed = all(body, [any(body, [allowedPairs(body, pattern, pairs), keys.isGlobal ?? false]), keys.isOnce]);
    if (keys.mask === undefined) return allowed;
    // [B, K] beside [B, H, C, K] or [B, G, H/G, C, K].
    const mask = body.op('Unsqueeze', [keys.mask, body.int64(...(isGrouped ? [1, 2, 3] : [1, 2]))], 'bool');
    return all(body, [allowed, mask]);
  }

  /** A logit beside the scores in the denominator: times z / (z + e^sink), z the sum of the exponentials. */
  #withSinks(body: Emitter, attended: string, scores: string, sinkLogits: string, isGrouped: boolean): string {
    const groups = body.concat([this.#groups(), body.int64(-1, 1, 1)], 0, 'int64');
    const sinks = isGrouped
      ? body.op('Reshape', [sinkLogits, groups])
      : body.op('Reshape', [sinkLogits, body.int64(-1, 1, 1)]);
    return body.op('Mul', [
      attended,
      body.op('Sigmoid', [body.op('Sub', [overLast(body, 'ReduceLogSumExp', scores), sinks])]),
    ]);
  }

  /** The scores as the node's modifier changes them. */
  #modified(body: Emitter, scores: string, positions: string, keys: Keys, isGrouped: boolean): string {
    const { scores: modifier } = this.#node;
    if (modifier === undefined) return scores;
    const outer = this.#emitter;
    const { q, numbers } = this.#inputs;
    const count = (axis: number): string =>
      outer.edit.once(`numbers ${axis} of ${q}`, () => outer.range(outer.int64(0), outer.side(q, axis)));
    return modifiedScores(outer, body, modifier, {
      scores,
      groups: isGrouped ? this.#groups() : undefined,
      queries: positions,
      rows: body.op('Sub', [positions, this.#offset], 'int64'),
      keys: keys.positions,
      heads: numbers ?? count(1),
      batch: count(0),
    });
  }

  #groups(): string {
    return this.#emitter.edit.once(`groups of ${this.#inputs.k}`, () => this.#emitter.side(this.#inputs.k, 1));
  }

  /** [0, G, H / G, -1, D], where 0 keeps the batch. */
  #groupedShape(): string {
    const emitter = this.#emitter;
    return emitter.edit.once(`grouped shape of ${this.#inputs.q}`, () => {
      const heads = emitter.side(this.#inputs.q, 1);
      const each = emitter.op('Div', [heads, this.#groups()], 'int64');
      return emitter.concat(
        [emitter.int64(0), this.#groups(), each, emitter.int64(-1), emitter.side(this.#inputs.q, 3)],
        0,
        'int64',
      );
    });
  }

  /** [0, H, C, E], or [0, H, C, E + 1] with the log-sum-exp, C of which is `size`. */
  #ungroupedShape(body: Emitter, size: string): string {
    const emitter = this.#emitter;
    const { q, v } = this.#inputs;
    const heads = emitter.edit.once(`heads of ${q}`, () => emitter.side(q, 1));
    const width = emitter.edit.once(`width of ${v}`, () => emitter.side(v, 3));
    const columns = this.#node.lse === undefined ? width : body.op('Add', [width, body.int64(1)], 'int64');
    return body.concat([body.int64(0), heads, size, columns], 0, 'int64');
  }

  /** [B, H, chunks * C, E]. */
  #mergedShape(stacked: string): string {
    const emitter = this.#emitter;
    return emitter.concat(
      [emitter.side(stacked, 1), emitter.side(stacked, 2), emitter.int64(-1), emitter.side(stacked, 4)],
      0,
      'int64',
    );
  }
}

/** A reduction of scores [.., K]: [.., 1]. */
function overLast(body: Emitter, operator: 'ReduceLogSumExp' | 'ReduceMax', scores: string): string {
  const opset = body.edit.graph.opsets?.get('') ?? 24;
  if (opset >= 18) return body.op(operator, [scores, body.int64(-1)]);
  return body.op(operator, [scores], 'float32', { axes: { type: 'ints', value: [-1] } });
}

/** Queries at a time: about a quarter of the keys that they share, so that little of what is computed is masked. */
function chunkOf({ reach, table }: KeyCover, wanted: number | undefined): number {
  const near = reach === undefined ? 0 : reach.back + reach.ahead;
  const chunk = wanted ?? Math.min(256, Math.max(64, 2 ** Math.ceil(Math.log2(Math.max(1, near / 4)))));
  if (table === undefined) return chunk;
  // All queries of a chunk have one row of the table.
  let divisor = Math.min(chunk, table.block);
  while (table.block % divisor !== 0) divisor--;
  return divisor;
}

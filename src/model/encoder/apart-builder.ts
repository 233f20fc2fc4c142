/** How an encoder builds its layers to run them itself, where an exported file has them in one piece. */
import { concat, gemm, ROWS, type Value } from '../../graph/index.ts';
import { dense, hasPerHead, headPattern, type Pattern, perHead } from '../../pattern/index.ts';
import {
  EncoderBuilder,
  type GlobalAttentionOptions,
  type LinearOptions,
  type SelfAttentionOptions,
  widthOf,
} from './builder.ts';
import { GlobalRows, type HeadRange } from './global-rows.ts';
import { TableRows } from './table-rows.ts';
import type { EncoderTensors } from './tensors.ts';

/**
 * Where weights are streamed, heads attend in so many groups, one after the other, and queries, keys and values exist of one group at a
 * time. Beside the layer's rows and the attention's output that is half a row, where all heads would take three.
 */
const HEAD_GROUPS = 6;

/** Streamed matrices with more numbers are read in pieces: an engine that prepares a matrix holds it four times meanwhile. */
const MOST_NUMBERS = 2 ** 20;

/** Pieces are as wide as engines like them. */
const COLUMNS = 64;

/** What a node for global tokens computes, and for which heads. */
export interface GlobalRowsOf {
  readonly rows: GlobalRows;
  readonly heads: HeadRange;
}

/** Builds the layers with a node for global tokens whose inputs are the rows, as queries and keys, and what the others see: see GlobalRows. */
export class ApartBuilder extends EncoderBuilder {
  /** By the name of such a node. */
  readonly globalRows = new Map<string, GlobalRowsOf>();
  /** Of streamed weights, by the name of the input in the place of what is looked up. */
  readonly tables = new Map<string, TableRows>();
  readonly #isStreamed: boolean;

  constructor(name: string, tensors: EncoderTensors, isStreamed: boolean) {
    super(name, tensors);
    this.#isStreamed = isStreamed;
  }

  override embedding(ids: Value, name: string, count: number, width: number): Value {
    if (!this.#isStreamed) return super.embedding(ids, name, count, width);
    const read = this.tensors.askRows(`${name}.weight`, [count, width]);
    this.tables.set(name, new TableRows(ids.name, read, width));
    return this.input(name, 'float32', [ROWS, width]);
  }

  override linear(x: Value, name: string, out: number, { bias = true }: LinearOptions = {}): Value {
    const pieces = this.#isStreamed ? Math.ceil((out * widthOf(x)) / MOST_NUMBERS) : 1;
    if (pieces === 1) return super.linear(x, name, out, { bias });
    const width = COLUMNS * Math.ceil(out / pieces / COLUMNS);
    const firsts = Array.from({ length: Math.ceil(out / width) }, (_, i) => i * width);
    const made = firsts.map((first) =>
      this.#linearRows(x, name, out, { first, count: Math.min(width, out - first), bias }),
    );
    return concat(this.graph, made, 1);
  }

  override selfAttention(options: SelfAttentionOptions, pairs: SelfAttentionPairs): Value {
    if (!this.#isStreamed) return super.selfAttention(options, pairs);
    const { x, heads, pattern, name, globals, bias = true } = options;
    const hidden = widthOf(x);
    const rows = globals === undefined ? undefined : this.#globalRowsOf(name, heads, hidden);
    const groups = headGroups(heads).map((range) => {
      const own = `${name}.heads.${range.first}`;
      const [q, k, v] = ['query', 'key', 'value'].map((part) =>
        this.#linearRows(x, `${name}.${part}`, hidden, {
          first: (range.first * hidden) / heads,
          count: (range.count * hidden) / heads,
          bias,
        }),
      ) as [Value, Value, Value];
      const local = this.attention({ q, k, v, heads: range.count, pattern, name: own }, (layout) =>
        pairs(layout).map(({ pattern, weight }) => ({ pattern: ofHeads(pattern, range), weight })),
      );
      if (globals === undefined || rows === undefined) return local;
      const given = { local, x, heads: range.count, name: own, pairs: globals };
      return this.#placeGlobals(given, { rows, heads: range });
    });
    const [only] = groups;
    return groups.length === 1 && only !== undefined ? only : concat(this.graph, groups, 1);
  }

  override globalAttention(options: GlobalAttentionOptions): Value {
    const { x, heads, name } = options;
    const rows = this.#globalRowsOf(name, heads, widthOf(x));
    return this.#placeGlobals(options, { rows, heads: { first: 0, count: heads } });
  }

  #globalRowsOf(name: string, heads: number, hidden: number): GlobalRows {
    return new GlobalRows(this.tensors, name, heads, hidden, this.#isStreamed);
  }

  #placeGlobals({ local, x, name, pairs }: GlobalAttentionOptions, globals: GlobalRowsOf): Value {
    // One head, so that `local` may be narrower than x.
    const options = { q: x, k: x, v: local, heads: 1, pattern: dense(), name: `${name}.global` };
    const placed = this.attention(options, pairs);
    this.globalRows.set(placed.name, globals);
    return placed;
  }

  /** linear(), of `count` of the outputs from output `first` on. */
  #linearRows(
    x: Value,
    name: string,
    out: number,
    { first, count, bias }: { readonly first: number; readonly count: number; readonly bias: boolean },
  ): Value {
    const part = (tensor: string, shape: readonly [number, ...number[]]): Value => {
      const read = this.tensors.askRows(tensor, shape);
      const [, ...others] = shape;
      return this.graph.initializer(`${tensor} from ${first}`, 'float32', [count, ...others], () => read(first, count));
    };
    const matrix = part(`${name}.weight`, [out, widthOf(x)]);
    const vector = bias ? part(`${name}.bias`, [out]) : undefined;
    return gemm(this.graph, x, matrix, vector, { transB: true, name: `${name} from ${first}` });
  }
}

type SelfAttentionPairs = Parameters<EncoderBuilder['selfAttention']>[1];

/** All heads, in groups of about one size. */
function headGroups(heads: number): HeadRange[] {
  const groups = Math.min(heads, HEAD_GROUPS);
  const ends = Array.from({ length: groups + 1 }, (_, i) => Math.floor((i * heads) / groups));
  return ends.slice(1).map((end, i) => ({ first: ends[i] ?? 0, count: end - (ends[i] ?? 0) }));
}

/** The pattern of some of the heads, for a node that has no others. */
function ofHeads(pattern: Pattern, { first, count }: HeadRange): Pattern {
  if (!hasPerHead(pattern)) return pattern;
  return perHead(Array.from({ length: count }, (_, i) => headPattern(pattern, first + i)));
}

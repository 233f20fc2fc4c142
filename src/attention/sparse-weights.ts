import { counted } from '../counted.ts';
import { ArgumentError, MemoryError } from '../errors.ts';
import type { BlockRows } from '../mask/block-mask.ts';
import { type RowRange, rowColumns, rowStarts } from '../mask/row-pairs.ts';
import { maskOfEntry, type Problem } from './problem.ts';
import type { AnyAttentionOptions, NumberArray, Tensor } from './types.ts';

/** The options of attention(), without those that concern what comes after the softmax. */
export interface WeightsOptions extends Omit<AnyAttentionOptions, 'v' | 'output' | 'dropout'> {
  /** Not read: weights do not depend on the values. */
  readonly v?: Tensor<NumberArray>;
  /** What attention() returned for the same options [B, H, N]. Without it, each row's log-sum-exp comes from its own scores. */
  readonly lse?: Float32Array;
  /** The query rows start .. end - 1 alone. Default all. */
  readonly rows?: RowRange;
  /** The result must not take more. Default: the memory that the machine has left. */
  readonly maximumBytes?: number;
}

/** The allowed pairs of one head in compressed sparse rows. Heads and batch entries with the same pairs share the first two arrays. */
export interface SparseWeights {
  /** Row i of those that were asked for has the pairs rowStart[i] .. rowStart[i + 1] - 1. Exact up to 2^53 pairs. */
  readonly rowStart: Float64Array;
  /** The key of each pair, ascending in every row. */
  readonly columns: Uint32Array;
  /** The probability of each pair: a row's sum is 1, less what its sink has. */
  readonly values: Float32Array;
}

export interface AttentionWeights {
  /** The query rows that the weights are of. */
  readonly rows: RowRange;
  /** Of each query head of each batch entry [B][H]. */
  readonly heads: readonly (readonly SparseWeights[])[];
}

/** @throws ArgumentError for an lse of another shape, or rows that are not there. */
export function checkWeights({ batch, heads, queries }: Problem, { lse, rows }: WeightsOptions): RowRange {
  if (lse !== undefined && lse.length !== batch * heads * queries)
    throw new ArgumentError(
      `attentionWeights: lse must be [${batch}, ${heads}, ${queries}], got ${counted(lse.length, 'number')}`,
    );
  const { start, end } = rows ?? { start: 0, end: queries };
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start > end || end > queries)
    throw new ArgumentError(
      `attentionWeights: rows must be { start, end } with 0 <= start <= end <= ${queries}, got ${start} to ${end}`,
    );
  return { start, end };
}

/**
 * The structure of the weights, every value 0.
 * @throws MemoryError before anything of the size of the pairs is allocated.
 */
export function emptyWeights(problem: Problem, range: RowRange, maximumBytes: number): AttentionWeights {
  const starts = new Map<BlockRows, Float64Array>();
  const entries = Array.from({ length: problem.batch }, (_, b) => {
    const mask = maskOfEntry(problem, b);
    for (const rows of mask.rows) if (!starts.has(rows)) starts.set(rows, rowStarts(mask, rows, range));
    return { mask, rows: Array.from(mask.headRows, (index) => mask.rows[index]) };
  });
  const length = range.end - range.start;
  const pairsOf = (rows: BlockRows) => starts.get(rows)?.[length] ?? 0;
  const sum = (all: Iterable<BlockRows>) => [...all].reduce((total, rows) => total + pairsOf(rows), 0);
  const pairs = sum(entries.flatMap(({ rows }) => rows));
  const bytes = 4 * pairs + 4 * sum(starts.keys()) + 8 * starts.size * (length + 1);
  const refuse = (cause?: unknown): never => {
    throw Object.assign(
      new MemoryError(
        `attentionWeights: ${pairs} pairs need ${bytes} bytes and there are ${maximumBytes}; ` +
          'ask for fewer rows at a time, or a sparser pattern',
        bytes,
        maximumBytes,
      ),
      cause === undefined ? {} : { cause },
    );
  };
  if (bytes > maximumBytes) refuse();
  const columns = new Map<BlockRows, Uint32Array>();
  try {
    const heads = entries.map(({ mask, rows }) =>
      rows.map((own) => {
        const rowStart = starts.get(own) ?? new Float64Array(length + 1);
        const known = columns.get(own) ?? rowColumns(mask, own, range, rowStart);
        columns.set(own, known);
        return { rowStart, columns: known, values: new Float32Array(known.length) };
      }),
    );
    return { rows: range, heads };
  } catch (cause) {
    // An array longer than this engine allows, or than there is memory for.
    if (cause instanceof RangeError) return refuse(cause);
    throw cause;
  }
}

/** Fills a batch's rows with tokens. */
import type { TrainingBatch } from '../trainable.ts';
import type { Piece, Sequences } from './packing.ts';
import type { Parts } from './split.ts';
import type { TokenSet } from './token-set.ts';

/** Replaces tokens, or leaves them alone: see masker(). */
export type Masker = (epoch: number, document: number, position: number, token: number) => number | undefined;

export interface RowSource {
  readonly set: TokenSet;
  readonly parts: Parts;
  readonly sequences: Sequences;
  /** Without it each row predicts the next token. */
  readonly mask?: Masker;
  readonly positions: 'sequence' | 'document';
}

interface Rows {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
  readonly weights: Float32Array;
  readonly positions: Int32Array | undefined;
}

/** A batch of these sequences, in this order. */
export async function readBatch(source: RowSource, epoch: number, chosen: readonly number[]): Promise<TrainingBatch> {
  const { sequences } = source;
  const total = chosen.reduce((rows, sequence) => rows + sequences.rows(sequence), 0);
  const starts = new Int32Array(chosen.length);
  const rows: Rows = {
    inputs: new Int32Array(total),
    targets: new Int32Array(total),
    weights: new Float32Array(total),
    positions: source.positions === 'document' ? new Int32Array(total) : undefined,
  };
  let at = 0;
  for (const [i, sequence] of chosen.entries()) {
    starts[i] = at;
    for (const piece of sequences.pieces(sequence)) {
      await fill(source, epoch, piece, rows, at);
      at += piece.rows;
    }
  }
  const { positions, ...batch } = rows;
  return { ...batch, starts, ...(positions === undefined ? {} : { positions }) };
}

/**
 * Row r of a part stands for its token r, or for the end of the document after the last one. Predicting, it reads the token before, for
 * r = 0 the document's end token; masked, it reads the token itself or what replaces it.
 */
async function fill(source: RowSource, epoch: number, piece: Piece, rows: Rows, at: number): Promise<void> {
  const { set, parts, mask } = source;
  const { part, firstRow } = piece;
  const document = parts.document(part);
  const start = parts.from(part);
  const length = parts.to(part) - start;
  const before = mask === undefined && firstRow > 0 ? 1 : 0;
  const firstToken = firstRow - before;
  const lastToken = Math.min(length, firstRow + piece.rows);
  const tokens = await set.read(document, start + firstToken, lastToken - firstToken);
  for (let i = 0; i < piece.rows; i++) {
    const row = firstRow + i;
    const isEnd = row === length;
    const token = isEnd ? set.documentEnd : tokens[row - firstToken];
    rows.targets[at + i] = token;
    if (mask === undefined) {
      rows.inputs[at + i] = row === 0 ? set.documentEnd : tokens[row - 1 - firstToken];
      rows.weights[at + i] = 1;
    } else {
      const replaced = isEnd ? undefined : mask(epoch, document, start + row, token);
      rows.inputs[at + i] = replaced ?? token;
      rows.weights[at + i] = replaced === undefined ? 0 : 1;
    }
    if (rows.positions !== undefined) rows.positions[at + i] = row;
  }
}

/** Which tokens train and which are held out. */
import { counted } from '../../counted.ts';
import { ArgumentError, DataError } from '../../errors.ts';
import { permutation } from './permutation.ts';
import { checkSeed } from './random.ts';
import type { TokenSet } from './token-set.ts';

export interface SplitOptions {
  /** The share that is held out, from 0 to below 1; default 0. */
  readonly heldOut?: number;
  /**
   * 'document', the default: whole documents, chosen by the seed; the nearest number to the share of all, at least one. 'range': the
   * last tokens of every document, their number rounded down; a document too short to give one trains whole.
   */
  readonly by?: 'document' | 'range';
  /** Chooses the documents; default 0. It is not the seed of the order, so that runs of different seeds have the same held-out part. */
  readonly seed?: number;
}

/** Ranges of documents, at most one of each. */
export interface Parts {
  readonly count: number;
  document(part: number): number;
  /** First token. */
  from(part: number): number;
  /** One past the last token. */
  to(part: number): number;
  /** Rows: one for each token, and one that predicts the end where the part reaches the end of its document. */
  rows(part: number): number;
}

/** The two parts have no token in common and together have all. @throws DataError where nothing would be left to train. */
export function splitSet(
  set: TokenSet,
  options: SplitOptions = {},
): { readonly training: Parts; readonly heldOut: Parts } {
  const { heldOut = 0, by = 'document', seed = 0 } = options;
  if (!(heldOut >= 0 && heldOut < 1)) {
    throw new ArgumentError(`split.heldOut is ${heldOut}; it must be a share from 0 to below 1`);
  }
  checkSeed(seed);
  if (by === 'range') return splitRanges(set, heldOut);
  const count = heldOut === 0 ? 0 : Math.max(1, Math.round(heldOut * set.documents));
  if (count >= set.documents) {
    throw new DataError(
      `of ${counted(set.documents, 'document')} ${count} would be held out and none would train; hold out less, or split by 'range'`,
    );
  }
  const isHeldOut = new Uint8Array(set.documents);
  const order = permutation(set.documents, seed);
  for (let i = 0; i < count; i++) isHeldOut[order(i)] = 1;
  const whole = (wanted: number): Parts =>
    partsOf(
      set,
      documentsWhere(set, (document) => isHeldOut[document] === wanted),
      () => 0,
      (length) => length,
    );
  return { training: whole(0), heldOut: whole(1) };
}

function splitRanges(set: TokenSet, share: number): { readonly training: Parts; readonly heldOut: Parts } {
  const cut = (length: number): number => length - Math.floor(length * share);
  const all = documentsWhere(set, () => true);
  const cutOnes = documentsWhere(set, (document) => cut(set.length(document)) < set.length(document));
  if (share > 0 && cutOnes.length === 0) {
    throw new DataError(
      `no document is long enough to hold out ${share} of its tokens; hold out more, or split by 'document'`,
    );
  }
  return {
    training: partsOf(set, all, () => 0, cut),
    heldOut: partsOf(set, cutOnes, cut, (length) => length),
  };
}

function documentsWhere(set: TokenSet, isWanted: (document: number) => boolean): Uint32Array {
  let count = 0;
  for (let document = 0; document < set.documents; document++) if (isWanted(document)) count++;
  const documents = new Uint32Array(count);
  for (let document = set.documents - 1; count > 0; document--) if (isWanted(document)) documents[--count] = document;
  return documents;
}

/** `from` and `to` are functions of a document's length. */
function partsOf(
  set: TokenSet,
  documents: Uint32Array,
  from: (length: number) => number,
  to: (length: number) => number,
): Parts {
  const lengthOf = (part: number): number => set.length(documents[part]);
  return {
    count: documents.length,
    document: (part) => documents[part],
    from: (part) => from(lengthOf(part)),
    to: (part) => to(lengthOf(part)),
    rows: (part) => {
      const length = lengthOf(part);
      const end = to(length);
      return end - from(length) + (end === length ? 1 : 0);
    },
  };
}

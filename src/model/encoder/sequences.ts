/** What a caller gives an encoder, checked, with defaults filled in, and packed into rows. */
import { counted } from '../../counted.ts';
import { ArgumentError } from '../../errors.ts';
import type { EncoderModel, EncoderSequence, PackedBatch } from './architecture.ts';
import type { Layout, PackedSequence } from './layout.ts';

/** Lists with one element for each sequence of the batch; those have one element for each token. */
export interface EncoderInput {
  /** Token ids. Sequences need not have one length, and need no padding. */
  readonly inputIds: readonly ArrayLike<number>[];
  /** 1 for a token that counts, 0 for one that nobody sees. Default: all count. */
  readonly attentionMask?: readonly ArrayLike<number>[];
  /** 1 for a token that sees all and is seen by all (Longformer). Default: what the model's task says, else none. */
  readonly globalAttentionMask?: readonly ArrayLike<number>[];
  /** Segment of each token. Default: what the model's task says, else 0. */
  readonly tokenTypes?: readonly ArrayLike<number>[];
}

/** @throws ArgumentError that names the list and the place. */
export function checkSequences(input: EncoderInput, model: EncoderModel): EncoderSequence[] {
  const { inputIds, attentionMask, globalAttentionMask, tokenTypes } = input;
  for (const [name, list] of Object.entries({ attentionMask, globalAttentionMask, tokenTypes })) {
    if (list !== undefined && list.length !== inputIds.length) {
      throw new ArgumentError(
        `${name} has ${counted(list.length, 'list')}, inputIds has ${inputIds.length}; each needs one for a sequence`,
      );
    }
  }
  if (globalAttentionMask !== undefined && !model.hasGlobals) {
    throw new ArgumentError('globalAttentionMask was given, and this architecture has no global tokens');
  }
  return inputIds.map((given, i) => {
    const name = `inputIds[${i}]`;
    const ids = numbers(name, given, given.length, model.vocabularySize, 'token ids of this model');
    const mask = bits(`attentionMask[${i}]`, attentionMask?.[i], ids.length, 1);
    if (!mask.includes(1)) throw new ArgumentError(`${name} has no token that counts; leave the sequence out`);
    const ownTypes = tokenTypes?.[i];
    const ownGlobals = globalAttentionMask?.[i];
    const defaults = ownTypes && ownGlobals ? {} : (model.defaults?.(ids, name) ?? {});
    return {
      ids,
      mask,
      tokenTypes:
        ownTypes === undefined
          ? (defaults.tokenTypes ?? new Int32Array(ids.length))
          : numbers(`tokenTypes[${i}]`, ownTypes, ids.length, model.tokenKinds, 'segments of this model'),
      globals:
        ownGlobals === undefined
          ? (defaults.globals ?? new Uint8Array(ids.length))
          : bits(`globalAttentionMask[${i}]`, ownGlobals, ids.length, 0),
    };
  });
}

/** One sequence after the other, each to its last token that counts. */
export function packSequences(
  sequences: readonly EncoderSequence[],
  randomBlocks?: Layout['randomBlocks'],
): PackedBatch {
  let rows = 0;
  const packed = sequences.map(({ mask, globals }): PackedSequence => {
    const start = rows;
    const length = mask.lastIndexOf(1) + 1;
    rows += length;
    const places = (test: (place: number) => boolean) => Array.from({ length }, (_, place) => place).filter(test);
    return {
      start,
      length,
      givenLength: mask.length,
      masked: places((place) => mask[place] === 0),
      globals: places((place) => mask[place] === 1 && globals[place] === 1),
    };
  });
  const ids = new Int32Array(rows);
  const tokenTypes = new Int32Array(rows);
  for (const [i, { start, length }] of packed.entries()) {
    const sequence = sequences[i];
    if (sequence === undefined) continue;
    ids.set(sequence.ids.subarray(0, length), start);
    tokenTypes.set(sequence.tokenTypes.subarray(0, length), start);
  }
  return { layout: { rows, sequences: packed, ...(randomBlocks ? { randomBlocks } : {}) }, ids, tokenTypes };
}

const ROWS_TOGETHER = 16_384;

/** Neighbours in the batch, as many together as are worth it; a longer sequence is alone. */
export function groupsOf<Sequence extends Pick<EncoderSequence, 'ids'>>(
  sequences: readonly Sequence[],
  rowsTogether = ROWS_TOGETHER,
): Sequence[][] {
  const groups: Sequence[][] = [];
  let rows = Infinity;
  for (const sequence of sequences) {
    rows += sequence.ids.length;
    if (rows > rowsTogether) {
      groups.push([]);
      rows = sequence.ids.length;
    }
    groups.at(-1)?.push(sequence);
  }
  return groups;
}

function numbers(name: string, list: ArrayLike<number>, length: number, end: number, what: string): Int32Array {
  checkLength(name, list, length);
  const result = Int32Array.from(list);
  for (let i = 0; i < length; i++) {
    const value = list[i] ?? -1;
    if (Number.isInteger(value) && value >= 0 && value < end) continue;
    throw new ArgumentError(`${name}[${i}] is ${value}; ${what} are integers from 0 to ${end - 1}`);
  }
  return result;
}

function bits(name: string, list: ArrayLike<number> | undefined, length: number, otherwise: 0 | 1): Uint8Array {
  if (list === undefined) return new Uint8Array(length).fill(otherwise);
  checkLength(name, list, length);
  const result = Uint8Array.from(list);
  for (let i = 0; i < length; i++) {
    if (list[i] !== 0 && list[i] !== 1) throw new ArgumentError(`${name}[${i}] is ${list[i]}; it must be 0 or 1`);
  }
  return result;
}

function checkLength(name: string, list: ArrayLike<number>, length: number): void {
  if (list.length !== length) {
    throw new ArgumentError(
      `${name} has ${counted(list.length, 'element')}; the sequence has ${counted(length, 'token')}`,
    );
  }
}

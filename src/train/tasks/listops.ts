/** Long ListOps: nested operations on lists of digits (Tay et al. 2021, "Long Range Arena", section 2.2.1; Nangia and Bowman 2018, "ListOps"). */
import { ArgumentError } from '../../errors.ts';
import type { RandomStream } from '../data/random.ts';
import type { Generator } from './generated-set.ts';

/** Tokens 0 to 9 are the digits. An operator's token is the word with its bracket, `[MIN`. */
export const listOpsTokens = { MIN: 10, MAX: 11, MED: 12, SM: 13, close: 14, classification: 15 } as const;

const WORDS = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '[MIN', '[MAX', '[MED', '[SM', ']', '<class>'];

export interface ListOpsOptions {
  /** Digits and closing brackets count, as in the original. Lengths lie strictly between the two. Defaults 500 and 2000. */
  readonly shortest?: number;
  readonly longest?: number;
  /** A node at this depth is a digit; the root has depth 1. Default 10. */
  readonly depth?: number;
  /** An operator has 2 to this many arguments, each number equally likely. Default 10. */
  readonly most?: number;
}

/** A node above the depth limit is an operator with this chance. */
const OPERATOR = 0.25;

/**
 * The parameters of the paper's own generator: an expression is drawn as a tree from the root, each node an operator with chance 1/4 (MIN,
 * MAX, MED or SM, equally likely) and else a digit, and is thrown away unless its length fits. MED of an even number of values is the
 * mean of the middle two, rounded down; SM is the sum modulo 10. The class is the value, a digit.
 */
export function listOps(options: ListOpsOptions = {}): Generator {
  const { shortest = 500, longest = 2000, depth = 10, most = 10 } = options;
  for (const [name, value, least] of [
    ['shortest', shortest, 0],
    ['longest', longest, shortest + 2],
    ['depth', depth, 1],
    ['most', most, 2],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new ArgumentError(`listOps: ${name} is ${value}; it must be an integer from ${least}`);
    }
  }
  return {
    name: `listops of ${shortest} to ${longest} tokens, depth ${depth}, ${most} arguments`,
    classes: 10,
    vocabularySize: listOpsTokens.classification + 1,
    classificationToken: listOpsTokens.classification,
    maximumLength: longest - 1,
    generate: (random) => {
      const tokens: number[] = [];
      const label = drawNode(random, tokens, 1, depth, most, longest);
      if (label === undefined || tokens.length <= shortest || tokens.length >= longest) return undefined;
      return { tokens: Int32Array.from(tokens), label };
    },
  };
}

/** Appends a node's tokens and returns its value; undefined as soon as the expression is too long. */
function drawNode(
  random: RandomStream,
  tokens: number[],
  at: number,
  depth: number,
  most: number,
  longest: number,
): number | undefined {
  if (tokens.length >= longest) return undefined;
  if (at >= depth || random.unit() >= OPERATOR) {
    const digit = random.integer(10);
    tokens.push(digit);
    return digit;
  }
  const operator = listOpsTokens.MIN + random.integer(4);
  tokens.push(operator);
  const values: number[] = [];
  for (let left = 2 + random.integer(most - 1); left > 0; left--) {
    const value = drawNode(random, tokens, at + 1, depth, most, longest);
    if (value === undefined) return undefined;
    values.push(value);
  }
  tokens.push(listOpsTokens.close);
  return applyOperator(operator, values);
}

function applyOperator(operator: number, values: number[]): number {
  if (operator === listOpsTokens.MIN) return Math.min(...values);
  if (operator === listOpsTokens.MAX) return Math.max(...values);
  if (operator === listOpsTokens.SM) return values.reduce((sum, value) => sum + value, 0) % 10;
  values.sort((a, b) => a - b);
  const half = values.length >> 1;
  return values.length % 2 === 1 ? values[half] : (values[half - 1] + values[half]) >> 1;
}

/** An expression as a person reads it: `[MAX 4 3 [MIN 2 3 ] 1 0 ]`. */
export function listOpsText(tokens: Iterable<number>): string {
  return Array.from(tokens, (token) => WORDS[token] ?? `<${token}>`).join(' ');
}

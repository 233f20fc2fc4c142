import { ArgumentError } from '../../src/errors.ts';
import { parsePattern } from '../../src/pattern/index.ts';

export const LEAST_TOKENS = 16;
export const MOST_TOKENS = 2 ** 20;

/** All that the address of the page holds. */
export interface PageState {
  /** Text form of the pattern, as parsePattern reads it. */
  readonly pattern: string;
  /** n: queries and keys. */
  readonly tokens: number;
}

export const FIRST_STATE: PageState = { pattern: 'causal&(sinks:4+window:256)', tokens: 2048 };

/** The part of the address after and with "#". */
export function stateToHash({ pattern, tokens }: PageState): string {
  return `#${new URLSearchParams({ pattern, n: String(tokens) })}`;
}

/** Reads what stateToHash() wrote; what is absent is as in FIRST_STATE. Throws PatternError and ArgumentError. */
export function stateFromHash(hash: string): PageState {
  const fields = new URLSearchParams(hash.replace(/^#/, ''));
  const pattern = fields.get('pattern') ?? FIRST_STATE.pattern;
  parsePattern(pattern);
  return { pattern, tokens: readTokens(fields.get('n') ?? String(FIRST_STATE.tokens)) };
}

/** Throws ArgumentError for what is no number of tokens that the page draws. */
export function readTokens(text: string): number {
  const tokens = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isInteger(tokens) || tokens < LEAST_TOKENS || tokens > MOST_TOKENS) {
    throw new ArgumentError(`tokens is "${text}"; it must be an integer from ${LEAST_TOKENS} to ${MOST_TOKENS}`);
  }
  return tokens;
}

/** What is said of a pattern under which tokens see nothing: attention then gives them zeros, which is seldom meant. */
import { PatternError } from '../../errors.ts';
import { compileMask, emptyRows } from '../../mask/index.ts';
import { causal, hasPerHead, intersect, type Pattern } from '../../pattern/index.ts';
import type { CommandContext } from '../context.ts';
import { formatCount } from '../format.ts';

/** Tokens that are looked at, from the first on: all would take long where a pattern is dense. */
const MOST = 16_384;

export interface ReadText {
  readonly tokens: number;
  readonly heads: number;
  /** Whether the model sees the past alone, so that the pattern is cut to it. */
  readonly isCausal: boolean;
}

/**
 * Notes which tokens of a text see none, themselves included, in some head, where a pattern was given.
 * @throws PatternError where no token sees any.
 */
export function noteBlindTokens(
  pattern: Pattern | undefined,
  { tokens, heads, isCausal }: ReadText,
  { note }: Pick<CommandContext, 'note'>,
): void {
  if (pattern === undefined) return;
  const queries = Math.min(tokens, MOST);
  const keys = isCausal ? queries : tokens;
  const seen = isCausal ? intersect(causal(), pattern) : pattern;
  const mask = compileMask(seen, { queries, keys, heads, queryOffset: 0, length: Infinity });
  const blind = Array.from(mask.rows, (_, index) => emptyRows(mask, mask.headRows.indexOf(index)));
  const looked = `${queries < tokens ? 'the first ' : ''}${formatCount(queries)}`;
  if (blind.every((rows) => rows.length === queries)) {
    const past = isCausal ? '; the model sees the past alone, and the pattern must leave some of it' : '';
    throw new PatternError(`--pattern: none of ${looked} tokens sees any token, not even itself${past}`);
  }
  const rows = [...new Set(blind.flat())];
  if (rows.length === 0) return;
  const first = formatCount(rows.reduce((least, row) => Math.min(least, row)));
  const where = hasPerHead(pattern) ? ' in some head' : '';
  note(
    rows.length === 1
      ? `--pattern: token ${first} of ${looked} sees no token${where}, not even itself; attention gives it zeros`
      : `--pattern: ${formatCount(rows.length)} of ${looked} tokens, from token ${first} on, see no token${where}, ` +
          'not even themselves; attention gives them zeros',
  );
}

/**
 * Pre-tokenizers: how a text is split before byte-pair merging. The expressions of the widespread models, and corrections for
 * what `@huggingface/tokenizers` 0.2 does otherwise than the original (https://github.com/huggingface/tokenizers, Rust).
 */
import { TextError } from '../errors.ts';
import { isObject, isStep, type Step } from './definition.ts';

/** GPT-2's expression (its encoder.py), in the Rust library the one behind `ByteLevel` with `use_regex`. */
export const GPT2_WORDS = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Llama 3's expression, from its tokenizer.json (also cl100k_base of tiktoken). */
export const LLAMA3_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Qwen2's expression, from its tokenizer.json: Llama 3's with every digit apart. */
export const QWEN2_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** What the Rust library calls punctuation: Unicode's, and all of ASCII's symbols. */
const PUNCTUATION = '[\\p{P}\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7E]';

/** A step that makes every match of an expression a piece of its own, and what lies between two matches another. */
export function isolate(expression: string): Step {
  return { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false };
}

export function sequence(...steps: Step[]): Step {
  return { type: 'Sequence', pretokenizers: steps };
}

/** Bytes as the 256 visible characters of GPT-2, without splitting. */
export const BYTES_ONLY: Step = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };

/** An equivalent step that the library executes as the original does. Throws TextError where there is none. */
export function correctPreTokenizer(step: Step): Step {
  switch (step.type) {
    case 'Sequence':
      return sequence(...subSteps(step).map(correctPreTokenizer));
    case 'Digits':
      // The original splits at every numeric character (\p{N}, as in Ⅷ), the library at decimal digits.
      return isolate(step.individual_digits === true ? '\\p{N}' : '\\p{N}+');
    case 'ByteLevel':
      // The library's own expression takes JavaScript's \s, which has U+FEFF and lacks U+0085; in Split it is translated.
      return step.use_regex === false || step.add_prefix_space === true
        ? step
        : sequence(isolate(GPT2_WORDS), BYTES_ONLY);
    case 'Punctuation':
      // The library always keeps runs of punctuation together; the original does so only where told.
      return correctSplit({ behavior: 'Isolated', ...step, type: 'Split', pattern: { Regex: PUNCTUATION } });
    case 'Split':
      return correctSplit(step);
    default:
      return step;
  }
}

/** The steps of a Sequence, or the step alone. */
export function subSteps(step: Step): Step[] {
  if (step.type !== 'Sequence') return [step];
  return Array.isArray(step.pretokenizers) ? step.pretokenizers.filter(isStep) : [];
}

/** The library knows the behaviours Removed and Isolated; the others are the same as Isolated for a larger match. */
function correctSplit(step: Step): Step {
  const behavior = String(step.behavior ?? 'Isolated').toLowerCase();
  const expression = expressionOf(step);
  // As an expression, because for a "String" the library keeps what it should remove.
  if (behavior === 'removed') return { ...step, pattern: { Regex: expression } };
  if (behavior === 'isolated') return isolate(expression);
  if (step.invert !== true) {
    if (behavior === 'contiguous') return isolate(`(?:${expression})+`);
    if (behavior === 'mergedwithprevious') return isolate(`[\\s\\S]*?(?:${expression})`);
    if (behavior === 'mergedwithnext') return isolate(`(?:${expression})(?:(?!${expression})[\\s\\S])*`);
  }
  throw new TextError(
    `pre-tokenizer ${JSON.stringify(step)}: behaviour ${JSON.stringify(step.behavior)}${step.invert === true ? ' with invert' : ''} is not supported`,
  );
}

function expressionOf(step: Step): string {
  const { pattern } = step;
  if (isObject(pattern)) {
    if (typeof pattern.Regex === 'string') return pattern.Regex;
    if (typeof pattern.String === 'string') return pattern.String.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  }
  throw new TextError(`pre-tokenizer ${JSON.stringify(step)}: needs a pattern with "Regex" or "String"`);
}

/** Expressions that always end a piece between a letter and white space. */
const ENDS_AFTER_LETTER: ReadonlySet<unknown> = new Set([GPT2_WORDS, LLAMA3_WORDS, QWEN2_WORDS]);

/** Expressions no match of which has a letter or white space, and which do not look around. */
const NEITHER_LETTER_NOR_SPACE: ReadonlySet<unknown> = new Set([
  '\\p{N}',
  '\\p{N}+',
  '\\p{N}{1,3}',
  '[0-9][0-9][0-9]',
  PUNCTUATION,
  `(?:${PUNCTUATION})+`,
]);

/**
 * Whether cutting a text between an ASCII letter and ASCII white space, and pre-tokenizing the parts on their own, gives the same
 * pieces. True where each step ends a piece there or cannot notice, and one does end it: no alternative of the expressions above
 * has a letter followed by white space, none looks behind, and (?!\S) looks ahead only from white space, while a part ends in a letter.
 */
export function breaksAfterLetters(corrected: Step | null): boolean {
  if (corrected === null) return false;
  let breaks = false;
  for (const step of flatten(corrected)) {
    if (step.type === 'BertPreTokenizer' || step.type === 'WhitespaceSplit') breaks = true;
    else if (step.type === 'Split' && step.behavior === 'Isolated' && isObject(step.pattern)) {
      if (ENDS_AFTER_LETTER.has(step.pattern.Regex)) breaks = true;
      else if (!NEITHER_LETTER_NOR_SPACE.has(step.pattern.Regex)) return false;
    } else if (step.type !== 'ByteLevel' || step.use_regex !== false || step.add_prefix_space === true) return false;
  }
  return breaks;
}

function flatten(step: Step): Step[] {
  return step.type === 'Sequence' ? subSteps(step).flatMap(flatten) : [step];
}

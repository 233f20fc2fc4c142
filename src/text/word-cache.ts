/** Tokens of words met before. */

/** Distinct words that are kept; a long book has half as many. */
const WORDS = 50_000;
/** UTF-16 units of the longest word that is kept: longer ones seldom come again. */
const LONGEST = 64;

/**
 * The same function from words to tokens, which computes the tokens of a word once. Every model of the library treats each word on its
 * own. The library has a cache too, but keeps it in order of use, which costs more than most words' merges.
 */
export function cacheWords(encode: (words: string[]) => string[]): (words: string[]) => string[] {
  const known = new Map<string, string[]>();
  return (words) => {
    const tokens: string[] = [];
    for (const word of words) {
      let own = known.get(word);
      if (own === undefined) {
        own = encode([word]);
        if (word.length <= LONGEST) {
          if (known.size >= WORDS) known.clear();
          known.set(word, own);
        }
      }
      for (const token of own) tokens.push(token);
    }
    return tokens;
  };
}

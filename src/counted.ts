/** Numbers with their nouns, for messages. */

/** The noun as it stands after a count: "token" after 1, "tokens" after any other. `nouns` is the plural where it is not regular. */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return count === 1 ? noun : nouns;
}

/** "1 token", "2 tokens". */
export function counted(count: number, noun: string, nouns?: string): string {
  return `${count} ${plural(count, noun, nouns)}`;
}

/** Duplicate keys, which JSON.parse silently drops. */

/** The first key that the outermost object of valid JSON has twice, if any. */
export function duplicateKey(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    else if (char === '"') {
      const end = endOfString(json, i);
      // At depth one a string is a key where a colon follows, and a value otherwise.
      if (depth === 1 && /^\s*:/.test(json.slice(end, end + 64))) {
        const key = String(JSON.parse(json.slice(i, end)));
        if (seen.has(key)) return key;
        seen.add(key);
      }
      i = end - 1;
    }
  }
  return undefined;
}

/** The position after the closing quote of the string that opens at `start`. */
function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (i < json.length && json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i + 1;
}

/** Which files of a folder belong to a data set: patterns as in .gitignore and most shells. */
import { ArgumentError } from '../../errors.ts';

/**
 * Whether a path with `/` between its parts fits a pattern: `*` is any run of characters of one part, `?` one of them, `**` any
 * number of whole parts, `{a,b}` either text. A pattern without `/` is compared with the last part only: `*.md`, `*.{ts,js}`.
 *
 * @throws ArgumentError for an empty pattern and for a brace that is not closed.
 */
export function globMatcher(pattern: string): (path: string) => boolean {
  if (pattern === '') throw new ArgumentError('a file pattern is empty; it must be one such as "*.md" or "docs/**"');
  const expression = new RegExp(`^${translate(pattern)}$`, 'u');
  if (pattern.includes('/')) return (path) => expression.test(path);
  return (path) => expression.test(path.slice(path.lastIndexOf('/') + 1));
}

function translate(pattern: string): string {
  let depth = 0;
  let expression = '';
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i];
    if (pattern.startsWith('**/', i) && (i === 0 || pattern[i - 1] === '/')) {
      expression += '(?:[^/]+/)*';
      i += 2;
    } else if (pattern.slice(i) === '**' && (i === 0 || pattern[i - 1] === '/')) {
      expression += '.+';
      i += 1;
    } else if (character === '*') expression += '[^/]*';
    else if (character === '?') expression += '[^/]';
    else if (character === '{') {
      depth++;
      expression += '(?:';
    } else if (character === '}' && depth > 0) {
      depth--;
      expression += ')';
    } else if (character === ',' && depth > 0) expression += '|';
    else expression += character.replace(/[\\^$.*+?()[\]{}|/]/u, '\\$&');
  }
  if (depth > 0) throw new ArgumentError(`the file pattern "${pattern}" has a "{" that is not closed`);
  return expression;
}

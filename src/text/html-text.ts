/** The text of HTML, and where each part of it stands in the file. */
import { Parser } from 'htmlparser2';

/** A part of the text. Where its length is not that of its source, it stands for the source as a whole, as "&" for "&amp;". */
export interface TextRun {
  /** UTF-16 unit of the text. */
  readonly at: number;
  readonly length: number;
  /** UTF-16 unit of the source. */
  readonly sourceAt: number;
  readonly sourceLength: number;
}

export interface MappedText {
  readonly text: string;
  /** Ascending in both. */
  readonly runs: readonly TextRun[];
}

/** Elements whose text nobody reads. */
const HIDDEN: ReadonlySet<string> = new Set(['script', 'style', 'template', 'noscript']);
/** Elements that keep their white space. */
const PREFORMATTED: ReadonlySet<string> = new Set(['pre', 'textarea']);
/** Elements that flow in a line; all others begin and end one. */
const INLINE: ReadonlySet<string> = new Set(
  (
    'a abbr acronym b bdi bdo big button cite code data del dfn em font i img input ins kbd label mark meter output q ' +
    's samp select small span strike strong sub sup time tt u var wbr'
  ).split(' '),
);
const WHITE = /[ \t\n\f\r]+|[^ \t\n\f\r]+/g;

/** What a browser shows, roughly: white space collapsed but in `pre`, a line for each block, scripts and styles left out. */
export function htmlText(source: string): MappedText {
  const parts: string[] = [];
  const runs: TextRun[] = [];
  let length = 0;
  let endsWhite = true;
  let hidden = 0;
  let preformatted = 0;

  const put = (text: string, sourceAt: number, sourceLength: number): void => {
    runs.push({ at: length, length: text.length, sourceAt, sourceLength });
    parts.push(text);
    length += text.length;
    endsWhite = /[ \t\n\f\r]$/.test(text);
  };
  const breakLine = (sourceAt: number): void => {
    if (length === 0 || parts.at(-1) === '\n') return;
    put('\n', sourceAt, 0);
  };
  const enter = (name: string, at: number, step: 1 | -1): void => {
    if (HIDDEN.has(name)) hidden = Math.max(0, hidden + step);
    if (PREFORMATTED.has(name)) preformatted = Math.max(0, preformatted + step);
    if (!INLINE.has(name) && !HIDDEN.has(name)) breakLine(at);
  };

  const parser = new Parser({
    onopentagname: (name) => enter(name, parser.startIndex, 1),
    onclosetag: (name) => enter(name, parser.startIndex, -1),
    ontext: (text) => {
      if (hidden > 0) return;
      const from = parser.startIndex;
      const own = source.slice(from, parser.endIndex + 1);
      if (own !== text) {
        // A character reference. A space that was written so is meant to stay.
        put(text, from, own.length);
      } else if (preformatted > 0) {
        put(text, from, text.length);
      } else {
        for (const { 0: word, index } of text.matchAll(WHITE)) {
          if (!/^[ \t\n\f\r]/.test(word)) put(word, from + index, word.length);
          else if (!endsWhite) put(' ', from + index, word.length);
        }
      }
    },
  });
  parser.end(source);
  return { text: parts.join(''), runs };
}

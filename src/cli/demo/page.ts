/** What `farfield demo` found in a text, as a page of its own without anything from elsewhere. */
import { HEAT_STEPS, type HeatedCharacter, heatLevel } from './heat.ts';

export interface DemoPage {
  /** The name of the text. */
  readonly title: string;
  /** Rows of the table of figures, the first its header. */
  readonly figures: readonly (readonly string[])[];
  readonly remarks: readonly string[];
  /** Bits per byte along the text, one number for each part of equal length. */
  readonly course: readonly number[];
  readonly passages: readonly PagePassage[];
  readonly continuation: string;
}

export interface PagePassage {
  readonly line: number;
  readonly bitsPerByte: number;
  readonly characters: readonly HeatedCharacter[];
}

const STYLE = `
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1d1f21; --quiet: #63676b; --rule: #d9d6cf; --h1: #f2e6b8; --h2: #f3b562; --h3: #c8321f; --on3: #fff; }
@media (prefers-color-scheme: dark) { :root { --paper: #17191b; --ink: #e7e5e0; --quiet: #9a9fa4; --rule: #34383b; --h1: #4a4324; --h2: #8a5a14; --h3: #d8472f; } }
body { margin: 0 auto; max-width: 46rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; overflow-wrap: anywhere; } h2 { font-size: 1.05rem; margin: 2.25rem 0 .5rem; }
p { margin: .5rem 0; } .quiet { color: var(--quiet); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--rule); font-weight: normal; } th:first-child, td:first-child { text-align: left; } thead th { color: var(--quiet); }
pre { margin: 0; padding: .75rem 0; border-top: 1px solid var(--rule); font: .85rem/1.6 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: .5rem 0; } svg { display: block; width: 100%; height: 7rem; } svg path { fill: none; stroke: var(--h3); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
mark { color: inherit; background: none; border-radius: 2px; } .h1 { background: var(--h1); } .h2 { background: var(--h2); } .h3 { background: var(--h3); color: var(--on3); }
`;

export function drawPage({ title, figures, remarks, course, passages, continuation }: DemoPage): string {
  const [header = [], ...rows] = figures;
  const cells = (row: readonly string[], tag: 'th' | 'td') =>
    `<tr>${row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;
  const [low, middle, high] = HEAT_STEPS;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} as farfield-small reads it</title>
<style>${STYLE}</style>
<h1>${escaped(title)}</h1>
<p class="quiet">Read byte by byte by farfield-small, the model that comes with Farfield.</p>
<div class="wide" tabindex="0" role="region" aria-label="Figures"><table><thead>${cells(header, 'th')}</thead><tbody>${rows.map((row) => cells(row, 'td')).join('')}</tbody></table></div>
${remarks.map((remark) => `<p class="quiet">${escaped(remark)}</p>`).join('\n')}
<h2>Bits per byte from the first byte to the last</h2>
${drawCourse(course)}
<h2>What surprised it most</h2>
<p class="quiet"><mark class="h1">More than ${low} bits</mark> <mark class="h2">more than ${middle}</mark> <mark class="h3">more than ${high}</mark> for a character.</p>
${passages.map(drawPassage).join('\n')}
<h2>How it goes on</h2>
<pre>${escaped(continuation)}</pre>
</html>
`;
}

function drawCourse(course: readonly number[]): string {
  const most = Math.max(1, Math.ceil(Math.max(...course)));
  const points = course.map((bits, i) => `${((i + 0.5) / course.length) * 1000} ${100 - (100 * bits) / most}`);
  const low = Math.min(...course).toFixed(2);
  const high = Math.max(...course).toFixed(2);
  return `<figure><svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="Bits per byte, from ${low} to ${high}"><path d="M${points.join('L')}"/></svg>
<figcaption class="quiet">Between ${low} and ${high}; the upper edge is ${most}.</figcaption></figure>`;
}

function drawPassage({ line, bitsPerByte, characters }: PagePassage): string {
  let text = '';
  let level = 0;
  for (const character of characters) {
    const own = heatLevel(character.bits);
    if (own !== level) text += `${level === 0 ? '' : '</mark>'}${own === 0 ? '' : `<mark class="h${own}">`}`;
    level = own;
    text += escaped(character.text);
  }
  return `<p>Line ${line}: ${bitsPerByte.toFixed(2)} bits per byte</p>\n<pre>${text}${level === 0 ? '' : '</mark>'}</pre>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

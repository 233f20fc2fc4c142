import { plural } from '../counted.ts';

/** Numbers as a person reads them on a terminal. JSON output never goes through here. */

/** 1234567 -> "1,234,567". */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** A count with its noun: "1 token", "1,234 tokens". `nouns` is the plural where it is not regular. */
export function formatCounted(value: number, noun: string, nouns?: string): string {
  return `${formatCount(value)} ${plural(value, noun, nouns)}`;
}

/** Units per second with three figures: 0.42, 7.53, 153, "12,400". */
export function formatRate(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 2 });
}

/** A share of one as a percentage with about three figures: 0.0625 -> "6.25%". */
export function formatPercent(share: number): string {
  const percent = 100 * share;
  return `${Number(percent.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 6 })}%`;
}

/** Binary units with three figures: 1536 -> "1.5 KiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(3))} ${units[unit]}`;
}

/** Milliseconds to a duration: "0.83 ms", "412 ms", "4.21 s", "3 min 05 s", "2 h 07 min". */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Number(milliseconds.toPrecision(3))} ms`;
  if (milliseconds < 59_950) return `${Number((milliseconds / 1000).toPrecision(3))} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** Rows of cells under each other; the columns named in `right` (numbers) are aligned right. */
export function formatTable(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export interface RowGroup {
  /** On a line of its own above the rows. */
  readonly title: string;
  /** Each with its name first. */
  readonly rows: readonly (readonly string[])[];
}

/** Figures under `header`, whose first cell is that of the names, aligned over all groups. */
export function formatGroups(header: readonly string[], groups: readonly RowGroup[]): string {
  const indented = groups.flatMap(({ rows }) => rows.map(([name = '', ...figures]) => [`  ${name}`, ...figures]));
  const [first = '', ...lines] = formatTable([header, ...indented], [...header.keys()].slice(1)).split('\n');
  return [first, ...groups.flatMap(({ title, rows }) => [title, ...lines.splice(0, rows.length)])].join('\n');
}

/** Breaks text at spaces into lines of at most `columns` where it can be helped; `indent` goes before each line but the first. */
export function wrap(text: string, columns: number, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.join(`\n${indent}`);
}

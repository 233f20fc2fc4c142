/** Numbers as charts, tables and facts show them. */

export function whole(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 0 });
}

export function significant(value: number, digits = 3): string {
  return value.toLocaleString('en', { maximumSignificantDigits: digits });
}

/** ± of an estimate. */
export function errorSize(value: number): string {
  return value !== 0 && value < 1e-3 ? value.toExponential(1) : significant(value, 2);
}

export function percent(share: number): string {
  return share.toLocaleString('en', { style: 'percent', maximumSignificantDigits: 3 });
}

const UNITS = ['', ' thousand', ' million', ' billion', ' trillion', ' quadrillion'];
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

function scaled(value: number, most: number): [number, number] {
  let step = 0;
  let rest = value;
  while (rest >= 999.5 && step < most) {
    rest /= 1000;
    step++;
  }
  return [rest, step];
}

/** 4.2 MB: of 1,000,000 bytes. */
export function bytes(value: number): string {
  const [rest, step] = scaled(value, PREFIXES.length - 1);
  return `${significant(rest)} ${PREFIXES[step]}B`;
}

/** 8.6 GFLOP. */
export function flops(value: number): string {
  const [rest, step] = scaled(value, PREFIXES.length - 1);
  return `${significant(rest)} ${PREFIXES[step]}FLOP`;
}

/** 4.2 million. */
export function many(value: number): string {
  if (value < 1e6) return whole(value);
  const [rest, step] = scaled(value, UNITS.length - 1);
  return `${significant(rest)}${UNITS[step]}`;
}

export function milliseconds(value: number): string {
  return value >= 10_000 ? `${significant(value / 1000)} s` : `${significant(value)} ms`;
}

/** Tokens on an axis: 64, 1K, 256K, 1M, where K is 1,024. */
export function shortTokens(value: number): string {
  if (value >= 2 ** 20 && value % 2 ** 20 === 0) return `${value / 2 ** 20}M`;
  return value >= 1024 && value % 1024 === 0 ? `${value / 1024}K` : whole(value);
}

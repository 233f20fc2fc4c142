/**
 * Bytes as people give a budget, in decimal units with three figures: 4 GB, 1.32 GB, 900 KB. What is needed is rounded up and
 * what there is down, so that neither promises more than is true.
 */
export function decimalBytes(bytes: number, round: (value: number) => number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const step = 10 ** Math.max(0, Math.floor(Math.log10(bytes)) - 2);
  const rounded = round(bytes / step) * step;
  const unit = Math.min(Math.max(0, Math.floor(Math.log10(rounded) / 3)), units.length - 1);
  return `${Number((rounded / 1000 ** unit).toPrecision(3))} ${units[unit]}`;
}

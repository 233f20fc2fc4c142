/** y = factor x^exponent, fitted on logarithms. */
export interface PowerFit {
  readonly exponent: number;
  readonly factor: number;
  /** Of the exponent, from the scatter around the line; null with fewer than three points. */
  readonly standardError: number | null;
  /** Share of the variance of log y that the line explains. */
  readonly r2: number;
}

/** Least squares of log y on log x. Null for fewer than two different x, or a number that is not above 0. */
export function fitPower(points: readonly { readonly x: number; readonly y: number }[]): PowerFit | null {
  if (new Set(points.map(({ x }) => x)).size < 2 || points.some(({ x, y }) => !(x > 0 && y > 0))) return null;
  const logs = points.map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }));
  const mean = (of: 'x' | 'y'): number => logs.reduce((sum, point) => sum + point[of], 0) / logs.length;
  const [meanX, meanY] = [mean('x'), mean('y')];
  let [xx, xy, yy] = [0, 0, 0];
  for (const { x, y } of logs) {
    xx += (x - meanX) ** 2;
    xy += (x - meanX) * (y - meanY);
    yy += (y - meanY) ** 2;
  }
  const exponent = xy / xx;
  const left = Math.max(0, yy - exponent * xy);
  return {
    exponent,
    factor: Math.exp(meanY - exponent * meanX),
    standardError: logs.length < 3 ? null : Math.sqrt(left / (logs.length - 2) / xx),
    r2: yy === 0 ? 1 : 1 - left / yy,
  };
}

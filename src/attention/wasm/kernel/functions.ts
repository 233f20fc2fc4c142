/** Functions of float32 numbers that the compiled score expressions import, in any range; NaN stays NaN. */
import { fma, tanh as rational } from './vector';

/**
 * e^x: 2^n e^r with r in [-ln 2 / 2, ln 2 / 2], n ln 2 taken off in two parts (Cody and Waite), and the Taylor series of e^r to degree
 * 7 (remainder 5e-9). Infinity above 88.72, 0 where the result would be subnormal.
 */
export function exp(x: v128): v128 {
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.44269504)));
  let r = fma(n, f32x4.splat(-0.693145752), x);
  r = fma(n, f32x4.splat(-1.42860677e-6), r);
  let p = fma(f32x4.splat(0.000198412698), r, f32x4.splat(0.00138888889));
  p = fma(p, r, f32x4.splat(0.00833333333));
  p = fma(p, r, f32x4.splat(0.0416666667));
  p = fma(p, r, f32x4.splat(0.166666667));
  p = fma(p, r, f32x4.splat(0.5));
  p = fma(p, r, f32x4.splat(1.0));
  p = fma(p, r, f32x4.splat(1.0));
  // 2^n as 2^(n / 2) 2^(n - n / 2), so that n = 128 does not overflow before its time.
  const whole = i32x4.trunc_sat_f32x4_s(n);
  const half = i32x4.shr_s(whole, 1);
  const one = i32x4.splat(0x3f800000);
  p = f32x4.mul(p, i32x4.add(i32x4.shl(half, 23), one));
  p = f32x4.mul(p, i32x4.add(i32x4.shl(i32x4.sub(whole, half), 23), one));
  p = v128.bitselect(f32x4.splat(Infinity), p, f32x4.gt(x, f32x4.splat(88.7228394)));
  p = v128.bitselect(f32x4.splat(0), p, f32x4.lt(x, f32x4.splat(-87.3365479)));
  return v128.bitselect(x, p, f32x4.ne(x, x));
}

/**
 * Natural logarithm: exponent times ln 2 in two parts, and 2 atanh((m - 1) / (m + 1)) as a series for the mantissa m in
 * [sqrt(1/2), sqrt(2)) (to t^11, remainder 2e-10). -Infinity for 0, NaN below 0.
 */
export function log(x: v128): v128 {
  const tiny = f32x4.lt(x, f32x4.splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608.0)), x, tiny);
  // The exponent of x / sqrt(1/2), so that the mantissa lies around 1.
  const shifted = i32x4.sub(scaled, i32x4.splat(0x3f3504f3));
  const e = i32x4.shr_s(shifted, 23);
  const m = i32x4.sub(scaled, i32x4.shl(e, 23));
  const n = f32x4.sub(f32x4.convert_i32x4_s(e), v128.and(tiny, f32x4.splat(23.0)));
  const f = f32x4.sub(m, f32x4.splat(1.0));
  const t = f32x4.div(f, f32x4.add(m, f32x4.splat(1.0)));
  const u = f32x4.mul(t, t);
  let s = fma(f32x4.splat(0.181818182), u, f32x4.splat(0.222222222));
  s = fma(s, u, f32x4.splat(0.285714286));
  s = fma(s, u, f32x4.splat(0.4));
  s = fma(s, u, f32x4.splat(0.666666667));
  // 2 atanh t = 2 t + t u s, and 2 t = f - t f: the greatest term f is exact.
  let y = f32x4.sub(f, f32x4.mul(t, f32x4.sub(f, f32x4.mul(u, s))));
  y = fma(n, f32x4.splat(-2.12194440e-4), y);
  y = fma(n, f32x4.splat(0.693359375), y);
  y = v128.bitselect(f32x4.splat(-Infinity), y, f32x4.eq(x, f32x4.splat(0)));
  y = v128.bitselect(f32x4.splat(NaN), y, f32x4.lt(x, f32x4.splat(0)));
  // Infinity and NaN are their own logarithms.
  return v128.bitselect(y, x, f32x4.lt(x, f32x4.splat(Infinity)));
}

export function tanh(x: v128): v128 {
  return rational(x);
}

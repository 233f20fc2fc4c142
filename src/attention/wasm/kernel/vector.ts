/** a * b + c: fused where the build has relaxed SIMD, two roundings where not. */
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/**
 * 2^y for y <= 16 or so; exactly 0 for y <= -127 and so for -Infinity. Adding 1.5 * 2^23 rounds y to an integer in the low
 * bits; the rest f in [-1/2, 1/2] goes through 1 + f q(f), q of degree 4 with the smallest greatest relative error (9.1e-8,
 * by linear programming over 2,001 points). The constant term is exactly 1, so that y = -127 gives the bit pattern 0.
 */
@inline
export function exp2(y: v128): v128 {
  y = f32x4.pmax(y, f32x4.splat(-127.0));
  const t = f32x4.add(y, f32x4.splat(12582912.0));
  const f = f32x4.sub(y, f32x4.sub(t, f32x4.splat(12582912.0)));
  let p = fma(f32x4.splat(0.0013264729641377926), f, f32x4.splat(0.009671512991189957));
  p = fma(p, f, f32x4.splat(0.05550733581185341));
  p = fma(p, f, f32x4.splat(0.24022242426872253));
  p = fma(p, f, f32x4.splat(0.6931470036506653));
  p = fma(p, f, f32x4.splat(1.0));
  return i32x4.add(p, i32x4.shl(t, 23));
}

/** tanh as an odd rational function of degree 13 / 6 on [-7.9, 7.9], where it reaches 1 in float32. */
@inline
export function tanh(x: v128): v128 {
  x = f32x4.min(f32x4.max(x, f32x4.splat(-7.905311)), f32x4.splat(7.905311));
  const u = f32x4.mul(x, x);
  let p = fma(u, f32x4.splat(-2.76076847742355e-16), f32x4.splat(2.00018790482477e-13));
  p = fma(p, u, f32x4.splat(-8.60467152213735e-11));
  p = fma(p, u, f32x4.splat(5.12229709037114e-8));
  p = fma(p, u, f32x4.splat(1.48572235717979e-5));
  p = fma(p, u, f32x4.splat(6.37261928875436e-4));
  p = fma(p, u, f32x4.splat(4.89352455891786e-3));
  let q = fma(u, f32x4.splat(1.19825839466702e-6), f32x4.splat(1.18534705686654e-4));
  q = fma(q, u, f32x4.splat(2.268434632439e-3));
  q = fma(q, u, f32x4.splat(4.89352518554385e-3));
  return f32x4.div(f32x4.mul(x, p), q);
}

/** Sum of the four lanes. */
@inline
export function sumLanes(x: v128): f32 {
  return (
    (f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1)) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** Greatest of the four lanes. */
@inline
export function maxLanes(x: v128): f32 {
  return max(
    max(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1)),
    max(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3)),
  );
}

/** Base-2 logarithm of x > 0 in float64: exponent bits, and the series of atanh for the mantissa in [sqrt(1/2), sqrt(2)). */
export function log2(x: f64): f64 {
  let bits = reinterpret<u64>(x);
  let e: f64 = <f64>(<i32>(bits >> 52) - 1023);
  bits = (bits & 0x000fffffffffffff) | 0x3ff0000000000000;
  let y = reinterpret<f64>(bits);
  if (y > 1.4142135623730951) {
    y *= 0.5;
    e += 1.0;
  }
  const t = (y - 1.0) / (y + 1.0);
  const u = t * t;
  let s: f64 = 1.0 / 19.0;
  for (let i: f64 = 17.0; i >= 1.0; i -= 2.0) s = s * u + 1.0 / i;
  return e + 2.0 * t * s * 1.4426950408889634;
}

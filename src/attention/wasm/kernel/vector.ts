/** a * b + c: fused where the build has relaxed SIMD, two roundings where not. */
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/**
 * Stores two vectors that are adjacent, the upper one first: where V8 merges the two stores into one of 256 bits, it would otherwise keep the
 * lower one as well.
 */
@inline
export function storePair(to: usize, lower: v128, upper: v128): void {
  v128.store(to, upper, 16);
  v128.store(to, lower);
}

/**
 * Constants of exp2() and tanh() in memory (below heap.ts's STATIC): written as literals they would be built anew from integers in
 * every iteration of a loop, for neither Binaryen nor V8 keeps a vector constant in a register. As loads they cost a tenth less
 * of the whole forward kernel.
 */
const CONSTANTS = memory.data<f32>([
  -127.0, 12582912.0, 0.0013264729641377926, 0.009671512991189957, 0.05550733581185341, 0.24022242426872253, 0.6931470036506653, 1.0,
  -7.905311, 7.905311, -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-8, 1.48572235717979e-5,
  6.37261928875436e-4, 4.89352455891786e-3, 1.19825839466702e-6, 1.18534705686654e-4, 2.268434632439e-3, 4.89352518554385e-3,
], 16);

@inline
export function constant(i: usize): v128 {
  return v128.load32_splat(CONSTANTS + (i << 2));
}

/**
 * 2^y for y <= 16 or so; exactly 0 for y <= -127 and so for -Infinity. Adding 1.5 * 2^23 rounds y to an integer in the low
 * bits; the rest f in [-1/2, 1/2] goes through 1 + f q(f), q of degree 4 with the smallest greatest relative error (9.1e-8,
 * by linear programming over 2,001 points). The constant term is exactly 1, so that y = -127 gives the bit pattern 0.
 */
@inline
export function exp2(y: v128): v128 {
  return exp2With(
    y, constant(0), constant(1), constant(2), constant(3), constant(4), constant(5), constant(6), constant(7),
  );
}

/** exp2() with its constants, constant(0) to constant(7): a loop loads them once. */
@inline
export function exp2With(y: v128, c0: v128, c1: v128, c2: v128, c3: v128, c4: v128, c5: v128, c6: v128, c7: v128): v128 {
  y = f32x4.pmax(y, c0);
  const t = f32x4.add(y, c1);
  const f = f32x4.sub(y, f32x4.sub(t, c1));
  let p = fma(c2, f, c3);
  p = fma(p, f, c4);
  p = fma(p, f, c5);
  p = fma(p, f, c6);
  p = fma(p, f, c7);
  return i32x4.add(p, i32x4.shl(t, 23));
}

/** tanh as an odd rational function of degree 13 / 6 on [-7.9, 7.9], where it reaches 1 in float32. */
@inline
export function tanh(x: v128): v128 {
  x = f32x4.min(f32x4.max(x, constant(8)), constant(9));
  const u = f32x4.mul(x, x);
  let p = fma(u, constant(10), constant(11));
  p = fma(p, u, constant(12));
  p = fma(p, u, constant(13));
  p = fma(p, u, constant(14));
  p = fma(p, u, constant(15));
  p = fma(p, u, constant(16));
  let q = fma(u, constant(17), constant(18));
  q = fma(q, u, constant(19));
  q = fma(q, u, constant(20));
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

/** Base-2 logarithm of x > 0 in float64, to 3e-11: exponent bits, and the series of atanh for the mantissa in [sqrt(1/2), sqrt(2)). */
export function log2(x: f64): f64 {
  let bits = reinterpret<u64>(x);
  let e: f64 = <f64>(<i32>(bits >> 52) - 1023);
  bits = (bits & 0x000fffffffffffff) | 0x3ff0000000000000;
  let y = reinterpret<f64>(bits);
  // No branch: which half of the octave a number is in cannot be foretold.
  const isUpper = y > 1.4142135623730951;
  y = select<f64>(y * 0.5, y, isUpper);
  e = select<f64>(e + 1.0, e, isUpper);
  const t = (y - 1.0) / (y + 1.0);
  const u = t * t;
  // Written out, so that the divisions are done when this is compiled.
  let s: f64 = 1.0 / 11.0;
  s = s * u + 1.0 / 9.0;
  s = s * u + 1.0 / 7.0;
  s = s * u + 1.0 / 5.0;
  s = s * u + 1.0 / 3.0;
  s = s * u + 1.0;
  return e + 2.0 * t * s * 1.4426950408889634;
}

/** log2() of both lanes. */
@inline
export function log2Pair(x: v128): v128 {
  const exponents = i64x2.shr_u(x, 52);
  let e = f64x2.convert_low_i32x4_s(i32x4.sub(v128.shuffle<i32>(exponents, exponents, 0, 2, 0, 2), i32x4.splat(1023)));
  let y = v128.or(v128.and(x, i64x2.splat(0x000fffffffffffff)), i64x2.splat(0x3ff0000000000000));
  const isUpper = f64x2.gt(y, f64x2.splat(1.4142135623730951));
  y = v128.bitselect(f64x2.mul(y, f64x2.splat(0.5)), y, isUpper);
  e = f64x2.add(e, v128.and(f64x2.splat(1), isUpper));
  const t = f64x2.div(f64x2.sub(y, f64x2.splat(1)), f64x2.add(y, f64x2.splat(1)));
  const u = f64x2.mul(t, t);
  let s = f64x2.splat(1.0 / 11.0);
  s = f64x2.add(f64x2.mul(s, u), f64x2.splat(1.0 / 9.0));
  s = f64x2.add(f64x2.mul(s, u), f64x2.splat(1.0 / 7.0));
  s = f64x2.add(f64x2.mul(s, u), f64x2.splat(1.0 / 5.0));
  s = f64x2.add(f64x2.mul(s, u), f64x2.splat(1.0 / 3.0));
  s = f64x2.add(f64x2.mul(s, u), f64x2.splat(1));
  const scaled = f64x2.mul(f64x2.mul(f64x2.mul(f64x2.splat(2), t), s), f64x2.splat(1.4426950408889634));
  return f64x2.add(e, scaled);
}

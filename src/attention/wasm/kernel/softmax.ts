/**
 * The online softmax on a tile of scores S [count keys, P queries] in log2 units. Keys run down and queries across, so every
 * step is vertical: no sum or maximum across lanes. Each step is written for pairs of adjacent vectors, which V8 can merge.
 */
import { constant, exp2, exp2With, storePair, tanh } from './vector';
import { P } from './tiles.generated';

/** S = cap tanh(S), where S holds scale / softcap q . k and `cap` is softcap log2(e). */
export function softcapTile(S: usize, count: i32, cap: f32): void {
  const c = f32x4.splat(cap);
  const end = S + <usize>(count * P * 4);
  for (let s = S; s < end; s += 32) {
    const s0 = f32x4.mul(tanh(v128.load(s)), c);
    const s1 = f32x4.mul(tanh(v128.load(s, 16)), c);
    storePair(s, s0, s1);
  }
}

/** In memory for the reason given in vector.ts. */
const BITS = memory.data<i32>([1, 2, 4, 8, 16, 32, 64, 128], 16);
const MASKED = memory.data<f32>([-Infinity], 16);

/** Puts -Infinity where the pair is masked. `bits` points at the query bits (8 bytes a key) of the tile's first key. */
export function maskTile(S: usize, count: i32, bits: usize, panel: i32): void {
  const low = v128.load(BITS);
  const high = v128.load(BITS, 16);
  const masked = v128.load32_splat(MASKED);
  let s = S;
  for (let k: i32 = 0; k < count; k++) {
    let b = bits + <usize>(k * 8) + <usize>(panel * (P / 8));
    for (let j: i32 = 0; j < P; j += 8) {
      const x = i32x4.splat(<i32>load<u8>(b));
      const s0 = v128.bitselect(v128.load(s), masked, i32x4.eq(v128.and(x, low), low));
      const s1 = v128.bitselect(v128.load(s, 16), masked, i32x4.eq(v128.and(x, high), high));
      storePair(s, s0, s1);
      s += 32;
      b += 1;
    }
  }
}

/** Puts 0 where the pair is masked; `bits` as in maskTile(). */
export function clearTile(S: usize, count: i32, bits: usize, panel: i32): void {
  const low = v128.load(BITS);
  const high = v128.load(BITS, 16);
  let s = S;
  for (let k: i32 = 0; k < count; k++) {
    let b = bits + <usize>(k * 8) + <usize>(panel * (P / 8));
    for (let j: i32 = 0; j < P; j += 8) {
      const x = i32x4.splat(<i32>load<u8>(b));
      const s0 = v128.and(v128.load(s), i32x4.eq(v128.and(x, low), low));
      const s1 = v128.and(v128.load(s, 16), i32x4.eq(v128.and(x, high), high));
      storePair(s, s0, s1);
      s += 32;
      b += 1;
    }
  }
}

/**
 * S = 2^(S - m), and the sums go into l [P]. m [P] is a stale reference, moved only when a score passes it by more than 8:
 * then l and the rows of O [P, strideO bytes] are scaled. `factors` has room for P numbers.
 */
export function softmaxTile(S: usize, count: i32, m: usize, l: usize, factors: usize, O: usize, strideO: usize): void {
  const end = S + <usize>(count * P * 4);
  for (let j: usize = 0; j < <usize>(P * 4); j += 32) {
    let x0 = v128.load(S + j);
    let x1 = v128.load(S + j, 16);
    for (let s = S + j + <usize>(P * 4); s < end; s += <usize>(P * 4)) {
      x0 = f32x4.pmax(x0, v128.load(s));
      x1 = f32x4.pmax(x1, v128.load(s, 16));
    }
    const m0 = v128.load(m + j);
    const m1 = v128.load(m + j, 16);
    const limit = f32x4.splat(8.0);
    if (v128.any_true(v128.or(f32x4.gt(x0, f32x4.add(m0, limit)), f32x4.gt(x1, f32x4.add(m1, limit))))) {
      const n0 = f32x4.pmax(m0, x0);
      const n1 = f32x4.pmax(m1, x1);
      const c0 = exp2(f32x4.sub(m0, n0));
      const c1 = exp2(f32x4.sub(m1, n1));
      storePair(m + j, n0, n1);
      storePair(factors + j, c0, c1);
      scaleRows(factors + j, l + j, O + (j >> 2) * strideO, strideO);
      const l0 = f32x4.mul(v128.load(l + j), c0);
      const l1 = f32x4.mul(v128.load(l + j, 16), c1);
      storePair(l + j, l0, l1);
    }
  }
  exponentiate(S, end, m, l);
}

/** Each of 8 rows times its factor, but those that nothing was added to. */
function scaleRows(factors: usize, l: usize, row: usize, stride: usize): void {
  for (let i: i32 = 0; i < 8; i++) {
    const factor = load<f32>(factors + <usize>(i * 4));
    const end = row + stride;
    if (factor == 1 || load<f32>(l + <usize>(i * 4)) == 0) {
      row = end;
      continue;
    }
    const f = f32x4.splat(factor);
    for (; row < end; row += 32) {
      const x0 = f32x4.mul(v128.load(row), f);
      const x1 = f32x4.mul(v128.load(row, 16), f);
      storePair(row, x0, x1);
    }
  }
}

function exponentiate(S: usize, end: usize, m: usize, l: usize): void {
  const c0 = constant(0);
  const c1 = constant(1);
  const c2 = constant(2);
  const c3 = constant(3);
  const c4 = constant(4);
  const c5 = constant(5);
  const c6 = constant(6);
  const c7 = constant(7);
  for (let j: usize = 0; j < <usize>(P * 4); j += 32) {
    const m0 = v128.load(m + j);
    const m1 = v128.load(m + j, 16);
    let l0 = f32x4.splat(0);
    let l1 = f32x4.splat(0);
    for (let s = S + j; s < end; s += <usize>(P * 4)) {
      const e0 = exp2With(f32x4.sub(v128.load(s), m0), c0, c1, c2, c3, c4, c5, c6, c7);
      const e1 = exp2With(f32x4.sub(v128.load(s, 16), m1), c0, c1, c2, c3, c4, c5, c6, c7);
      storePair(s, e0, e1);
      l0 = f32x4.add(l0, e0);
      l1 = f32x4.add(l1, e1);
    }
    l0 = f32x4.add(v128.load(l + j), l0);
    l1 = f32x4.add(v128.load(l + j, 16), l1);
    storePair(l + j, l0, l1);
  }
}

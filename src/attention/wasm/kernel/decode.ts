/**
 * Attention for a few queries (decoding): one query of one head at a time, with keys and values read once in their own
 * layout. Panels would leave most lanes idle here; instead the lanes run along D and E.
 *
 * Scratch: what rows.ts keeps, q D 4, S T 4, O E 4, a stage for a row that is not f32, max(D, E) 4.
 */
import * as job from './job';
import { T } from './job';
import { allFinite, finishRow, headRows, keysSeen } from './forward';
import { F32, keyReader, narrowRows, openBlocks, readBlock, rowAt, valueReader, widenRows, word } from './rows';
import { exp2, fma, maxLanes, storePair, sumLanes, tanh } from './vector';

/** S[k] = q . K[k] for `count` keys; D is any, q is already scaled. */
function dots(q: usize, K: usize, strideK: usize, S: usize, count: i32, D: i32): void {
  const whole = <usize>((D & ~3) * 4);
  const end = <usize>(D * 4);
  let k: i32 = 0;
  for (; k + 4 <= count; k += 4) {
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    let s2 = f32x4.splat(0);
    let s3 = f32x4.splat(0);
    const k1 = K + strideK;
    const k2 = k1 + strideK;
    const k3 = k2 + strideK;
    for (let d: usize = 0; d < whole; d += 16) {
      const x = v128.load(q + d);
      s0 = fma(x, v128.load(K + d), s0);
      s1 = fma(x, v128.load(k1 + d), s1);
      s2 = fma(x, v128.load(k2 + d), s2);
      s3 = fma(x, v128.load(k3 + d), s3);
    }
    let r0 = sumLanes(s0);
    let r1 = sumLanes(s1);
    let r2 = sumLanes(s2);
    let r3 = sumLanes(s3);
    for (let d = whole; d < end; d += 4) {
      const x = load<f32>(q + d);
      r0 += x * load<f32>(K + d);
      r1 += x * load<f32>(k1 + d);
      r2 += x * load<f32>(k2 + d);
      r3 += x * load<f32>(k3 + d);
    }
    store<f32>(S, r0);
    store<f32>(S, r1, 4);
    store<f32>(S, r2, 8);
    store<f32>(S, r3, 12);
    S += 16;
    K += 4 * strideK;
  }
  for (; k < count; k++) {
    let s = f32x4.splat(0);
    for (let d: usize = 0; d < whole; d += 16) s = fma(v128.load(q + d), v128.load(K + d), s);
    let r = sumLanes(s);
    for (let d = whole; d < end; d += 4) r += load<f32>(q + d) * load<f32>(K + d);
    store<f32>(S, r);
    S += 4;
    K += strideK;
  }
}

/** O += sum_k S[k] V[k], in strips of 32 values that stay in registers. */
function combine(S: usize, V: usize, strideV: usize, O: usize, count: i32, E: i32): void {
  let e: i32 = 0;
  for (; e + 32 <= E; e += 32) {
    let o0 = v128.load(O);
    let o1 = v128.load(O, 16);
    let o2 = v128.load(O, 32);
    let o3 = v128.load(O, 48);
    let o4 = v128.load(O, 64);
    let o5 = v128.load(O, 80);
    let o6 = v128.load(O, 96);
    let o7 = v128.load(O, 112);
    let v = V;
    let s = S;
    for (let k: i32 = 0; k < count; k++) {
      const p = v128.load32_splat(s);
      o0 = fma(p, v128.load(v), o0);
      o1 = fma(p, v128.load(v, 16), o1);
      o2 = fma(p, v128.load(v, 32), o2);
      o3 = fma(p, v128.load(v, 48), o3);
      o4 = fma(p, v128.load(v, 64), o4);
      o5 = fma(p, v128.load(v, 80), o5);
      o6 = fma(p, v128.load(v, 96), o6);
      o7 = fma(p, v128.load(v, 112), o7);
      v += strideV;
      s += 4;
    }
    storePair(O, o0, o1);
    v128.store(O, o3, 48);
    v128.store(O, o2, 32);
    v128.store(O, o5, 80);
    v128.store(O, o4, 64);
    v128.store(O, o7, 112);
    v128.store(O, o6, 96);
    V += 128;
    O += 128;
  }
  for (; e < E; e++) {
    let o = load<f32>(O);
    let v = V;
    for (let k: i32 = 0; k < count; k++) {
      o += load<f32>(S + <usize>(k * 4)) * load<f32>(v);
      v += strideV;
    }
    store<f32>(O, o);
    V += 4;
    O += 4;
  }
}

/** The running maximum and sum of one query. Module variables: each worker has an instance of its own. */
let m: f32 = 0;
let l: f32 = 0;

function part(
  at: usize, blocks: usize, rows: usize, bitmaps: usize, ranges: usize, block: i32, row: i32, q: usize, O: usize, S: usize,
): void {
  const D = <i32>word(at, job.D);
  const E = <i32>word(at, job.E);
  const cap = load<f32>(at + job.CAP);
  const strideK = <usize>(D * 4);
  const strideV = <usize>(E * 4);
  const first = load<u32>(<usize>load<u32>(rows) + <usize>(block * 4));
  const end = load<u32>(<usize>load<u32>(rows) + <usize>(block * 4), 4);
  for (let e = first; e < end; e++) {
    const column = load<i32>(<usize>load<u32>(rows, 4) + (<usize>e << 2));
    const bitmap = load<i32>(<usize>load<u32>(rows, 8) + (<usize>e << 2));
    const seen = keysSeen(ranges, bitmap, row >> 3, 1);
    const firstKey = seen & 0xff;
    const endKey = seen >> 8;
    const keys = endKey - firstKey;
    if (keys <= 0) continue;
    dots(q, readBlock(keyReader(blocks), column, firstKey, endKey) + <usize>firstKey * strideK, strideK, S, keys, D);
    if (cap != 0) {
      for (let k: i32 = 0; k < keys; k += 4) {
        const s = S + <usize>(k * 4);
        v128.store(s, f32x4.mul(tanh(v128.load(s)), f32x4.splat(cap)));
      }
    }
    if (bitmap >= 0) {
      const bits = bitmaps + <usize>bitmap * job.BITMAP_BYTES + <usize>(row >> 3);
      const bit = 1 << (row & 7);
      for (let k: i32 = 0; k < keys; k++) {
        if ((<i32>load<u8>(bits + <usize>((firstKey + k) * 8)) & bit) == 0) store<f32>(S + <usize>(k * 4), -Infinity);
      }
    }
    for (let k = keys; (k & 3) != 0; k++) store<f32>(S + <usize>(k * 4), -Infinity);
    let x = v128.load(S);
    for (let k: i32 = 4; k < keys; k += 4) x = f32x4.pmax(x, v128.load(S + <usize>(k * 4)));
    const top = maxLanes(x);
    if (top > m) {
      const c = exp2(f32x4.splat(m - top));
      l *= f32x4.extract_lane(c, 0);
      for (let i: i32 = 0; i < E; i += 4) {
        const o = O + <usize>(i * 4);
        v128.store(o, f32x4.mul(v128.load(o), c));
      }
      m = top;
    }
    let sum = f32x4.splat(0);
    for (let k: i32 = 0; k < keys; k += 4) {
      const s = S + <usize>(k * 4);
      const p = exp2(f32x4.sub(v128.load(s), f32x4.splat(m)));
      v128.store(s, p);
      sum = f32x4.add(sum, p);
    }
    l += sumLanes(sum);
    const V = readBlock(valueReader(blocks), column, firstKey, endKey) + <usize>firstKey * strideV;
    if (bitmap < 0 || allFinite(V, keys * E)) {
      combine(S, V, strideV, O, keys, E);
    } else {
      // 0 times a value that is not finite is not 0: keys that are not seen stay away.
      const bits = bitmaps + <usize>bitmap * job.BITMAP_BYTES + <usize>(firstKey * 8) + <usize>(row >> 3);
      for (let k: i32 = 0; k < keys; k++) {
        if ((<i32>load<u8>(bits + <usize>(k * 8)) & (1 << (row & 7))) == 0) continue;
        combine(S + <usize>(k * 4), V + <usize>k * strideV, strideV, O, 1, E);
      }
    }
  }
}

function scaled(type: i32, from: usize, to: usize, D: i32, factor: f32, stage: usize): void {
  if (type != F32) {
    widenRows(type, from, 0, 0, 1, D, stage);
    from = stage;
  }
  for (let d: i32 = 0; d < D; d++) store<f32>(to + <usize>(d * 4), load<f32>(from + <usize>(d * 4)) * factor);
}

/** The queries of one block of one head, one after the other. */
export function decodeBlock(at: usize, scratch: usize, batch: i32, head: i32, block: i32): void {
  const D = <i32>word(at, job.D);
  const E = <i32>word(at, job.E);
  const N = <i32>word(at, job.N);
  const H = <i32>word(at, job.H);
  const group = head / (H / <i32>word(at, job.G));
  const factor = load<f32>(at + job.FACTOR);
  openBlocks(at, scratch, batch, group, 0);
  const q = scratch + word(at, job.BLOCKS_BYTES);
  const S = q + <usize>(D * 4 + 16);
  const O = S + T * 4;
  const stage = O + <usize>(E * 4 + 16);
  const typeQ = load<i32>(at + job.Q_TYPE);
  const typeO = load<i32>(at + job.O_TYPE);
  const count = min(T, N - block * T);
  for (let row: i32 = 0; row < count; row++) {
    const r = block * T + row;
    m = job.LOWEST;
    l = 0;
    memory.fill(O, 0, <usize>(E * 4 + 16));
    scaled(typeQ, rowAt(at, job.Q, job.Q_BATCH, batch, head, r), q, D, factor, stage);
    part(at, scratch, headRows(at, job.MASK, head), word(at, job.BITMAPS), word(at, job.RANGES), block, row, q, O, S);
    if (word(at, job.SECOND_Q) != 0) {
      scaled(typeQ, rowAt(at, job.SECOND_Q, job.Q_BATCH, batch, head, r), q, D, factor, stage);
      part(
        at, scratch, headRows(at, job.SECOND_MASK, head), word(at, job.SECOND_BITMAPS), word(at, job.SECOND_RANGES), block, row, q, O, S,
      );
    }
    const lse = word(at, job.LSE) + <usize>((batch * H + head) * N + r) * 4;
    const f = finishRow(at, head, m, l, lse);
    for (let e: i32 = 0; e < E; e++) store<f32>(stage + <usize>(e * 4), load<f32>(O + <usize>(e * 4)) * f);
    narrowRows(typeO, stage, 1, E, rowAt(at, job.O, job.O_BATCH, batch, head, r), 0);
  }
}

/**
 * Backward attention (FlashAttention-2, Dao 2023, algorithm 2, with the loops the other way round): scores are computed again
 * from the log-sum-exp, nothing of size N x M is stored, and no two threads write the same number.
 *
 * A task is a segment: some query blocks of all heads that share one key/value head. It keeps the gradient of a query block
 * while it walks over the key blocks, and adds to gradients of keys and values of its own, which cover just the key
 * blocks that its mask touches. A second job sums the segments in their order. Segments do not depend on the number of threads. Where
 * each key block has one query block (job.DIRECT), its gradients are added to the sums at once.
 *
 *   P = 2^(S - lse), dP = V dO^T, dS = P (dP - delta), dQ += dS K, dK += dS^T Q, dV += P^T dO
 *
 * Scratch, in bytes: what rows.ts keeps; panels of Q T D 4, dO T E 4, dQ T D 4 with D rounded
 * up to whole panels; P and dS T T 4 each; lse, delta and factors T 4
 * each; the scores before they are modified T P 4; the rows' keys of dropout 2 T 4; rows of queries T D 4 and of the output's gradient
 * T E 4 where they are not f32 or have an order of their own; factors of 1 T 4, and sums of one block's keys T D 4 and values T E 4, D and
 * E rounded up. The sum of the segments has sums of keys T D 4 and values T E 4 there.
 */
import * as job from './job';
import { T } from './job';
import { dropTile, dropoutRows } from './dropout';
import { accumulate, accumulateSeen, allFinite, headRows, keysSeen, padded, scores } from './forward';
import { readPanels, writeRows } from './layout';
import { differentiate, modify } from './modifier';
import { F32, keyReader, narrowRows, openBlocks, readBlock, rowAt, valueReader, widenRows, word } from './rows';
import { clearTile, maskTile, softcapTile } from './softmax';
import { P, TILE_ROWS, gradientRemainder, gradientTile6 } from './tiles.generated';
import { constant, exp2, exp2With, storePair } from './vector';

/** log2 units of lse for rows that see no key or do not exist: every probability becomes 0. */
const UNSEEN: f32 = 3.0e38;

/** S becomes P, dP becomes dS. `cap` is softcap log2(e) or 0; lse in log2 units. */
function gradientOfScores(S: usize, dP: usize, count: i32, lse: usize, delta: usize, cap: f32): void {
  const end = S + <usize>(count * P * 4);
  const c0 = constant(0);
  const c1 = constant(1);
  const c2 = constant(2);
  const c3 = constant(3);
  const c4 = constant(4);
  const c5 = constant(5);
  const c6 = constant(6);
  const c7 = constant(7);
  for (let j: usize = 0; j < <usize>(P * 4); j += 32) {
    const l0 = v128.load(lse + j);
    const l1 = v128.load(lse + j, 16);
    const d0 = v128.load(delta + j);
    const d1 = v128.load(delta + j, 16);
    let d = dP + j;
    if (cap == 0) {
      for (let s = S + j; s < end; s += <usize>(P * 4)) {
        const p0 = exp2With(f32x4.sub(v128.load(s), l0), c0, c1, c2, c3, c4, c5, c6, c7);
        const p1 = exp2With(f32x4.sub(v128.load(s, 16), l1), c0, c1, c2, c3, c4, c5, c6, c7);
        const x0 = f32x4.mul(p0, f32x4.sub(v128.load(d), d0));
        const x1 = f32x4.mul(p1, f32x4.sub(v128.load(d, 16), d1));
        storePair(s, p0, p1);
        storePair(d, x0, x1);
        d += <usize>(P * 4);
      }
    } else {
      const inverse = f32x4.splat(1.0 / cap);
      const one = f32x4.splat(1.0);
      for (let s = S + j; s < end; s += <usize>(P * 4)) {
        const s0 = v128.load(s);
        const s1 = v128.load(s, 16);
        // tanh again; -Infinity of a masked pair becomes -1, whose slope 0 meets the probability 0.
        const t0 = f32x4.pmax(f32x4.mul(s0, inverse), f32x4.neg(one));
        const t1 = f32x4.pmax(f32x4.mul(s1, inverse), f32x4.neg(one));
        const p0 = exp2(f32x4.sub(s0, l0));
        const p1 = exp2(f32x4.sub(s1, l1));
        const x0 = f32x4.mul(f32x4.mul(p0, f32x4.sub(v128.load(d), d0)), f32x4.sub(one, f32x4.mul(t0, t0)));
        const x1 = f32x4.mul(f32x4.mul(p1, f32x4.sub(v128.load(d, 16), d1)), f32x4.sub(one, f32x4.mul(t1, t1)));
        storePair(s, p0, p1);
        storePair(d, x0, x1);
        d += <usize>(P * 4);
      }
    }
  }
}

/** Sum of the products of two rows in float64. */
function dot(a: usize, b: usize, width: i32): f64 {
  const end = a + <usize>((width & ~3) * 4);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (; a < end; a += 16) {
    const x = v128.load(a);
    const y = v128.load(b);
    low = f64x2.add(low, f64x2.mul(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(y)));
    const x1 = v128.shuffle<i64>(x, x, 1, 1);
    const y1 = v128.shuffle<i64>(y, y, 1, 1);
    high = f64x2.add(high, f64x2.mul(f64x2.promote_low_f32x4(x1), f64x2.promote_low_f32x4(y1)));
    b += 16;
  }
  low = f64x2.add(low, high);
  let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
  for (let i: i32 = 0; i < (width & 3); i++) {
    sum += <f64>load<f32>(a + <usize>(i * 4)) * <f64>load<f32>(b + <usize>(i * 4));
  }
  return sum;
}

/** C [keys, width] += A^T rows, for `keys` keys and `queries` queries; C has rows of `strideC` bytes. */
function gradients(A: usize, keys: i32, queries: i32, rows: usize, strideRows: usize, C: usize, width: i32, strideC: usize): void {
  for (let c: i32 = 0; c < width; c += P) {
    const B = rows + <usize>(c * 4);
    let out = C + <usize>(c * 4);
    let a = A;
    let k: i32 = 0;
    for (; k + TILE_ROWS <= keys; k += TILE_ROWS) {
      gradientTile6(a, <usize>(T * P * 4), queries, B, strideRows, out, strideC);
      a += <usize>(TILE_ROWS * P * 4);
      out += <usize>TILE_ROWS * strideC;
    }
    if (k < keys) gradientRemainder(keys - k, a, <usize>(T * P * 4), queries, B, strideRows, out, strideC);
  }
}

/**
 * gradients() of one panel of a partial block where numbers are not finite: 0 times such a row is not 0, so that keys which its query does
 * not see must not meet it. `bits` are those of the first key.
 */
function gradientsSeen(
  A: usize, keys: i32, queries: i32, rows: usize, strideRows: usize, C: usize, width: i32, strideC: usize, bits: usize, panel: i32,
): void {
  for (let i: i32 = 0; i < queries; i++) {
    const row = rows + <usize>i * strideRows;
    const a = A + <usize>(i * 4);
    if (allFinite(row, width)) {
      gradients(a, keys, 1, row, strideRows, C, width, strideC);
      continue;
    }
    const query = panel * P + i;
    for (let k: i32 = 0; k < keys; k++) {
      if ((<i32>load<u8>(bits + <usize>(k * 8 + (query >> 3))) & (1 << (query & 7))) == 0) continue;
      const factor = load<f32>(a + <usize>(k * P * 4));
      const c = C + <usize>k * strideC;
      for (let x: i32 = 0; x < width; x++) {
        const at4 = <usize>(x * 4);
        store<f32>(c + at4, load<f32>(c + at4) + factor * load<f32>(row + at4));
      }
    }
  }
}

function rowsAreFinite(rows: usize, stride: usize, count: i32, width: i32): bool {
  if (stride == <usize>(width * 4)) return allFinite(rows, count * width);
  for (let i: i32 = 0; i < count; i++) if (!allFinite(rows + <usize>i * stride, width)) return false;
  return true;
}

/** One query block of one head. */
function queryBlock(
  at: usize, scratch: usize, batch: i32, head: i32, group: i32, block: i32, slots: usize, gradK: usize, gradV: usize,
  gradParameters: usize, isFirst: bool,
): void {
  const D = <i32>word(at, job.D);
  const E = <i32>word(at, job.E);
  const N = <i32>word(at, job.N);
  const H = <i32>word(at, job.H);
  const row = block * T;
  const rows = headRows(at, job.MASK, head);
  const lists = <usize>load<u32>(rows, 16);
  const order = lists == 0 ? 0 : lists + <usize>(row * 4);
  const count = order != 0 ? T : min(T, N - row);
  if (count <= 0 || (order != 0 && load<i32>(order) < 0)) return;
  const continues = load<i32>(at + job.PASS) == 2;
  const starts = <usize>load<u32>(rows) + <usize>(block * 4);
  const end = load<u32>(starts, 4);
  if (continues && load<u32>(starts) == end) return;
  const cap = load<f32>(at + job.CAP);

  openBlocks(at, scratch, batch, group, <usize>load<u32>(rows, 20));
  const Q = scratch + word(at, job.BLOCKS_BYTES);
  const dO = Q + <usize>(T * D * 4);
  const dQ = dO + <usize>(T * E * 4);
  const widthK = <usize>(padded(D) * 4);
  const S = dQ + T * widthK;
  const dS = S + <usize>(T * T * 4);
  const lse = dS + <usize>(T * T * 4);
  const delta = lse + T * 4;
  const factors = delta + T * 4;
  const raw = factors + T * 4;
  const dropped = raw + <usize>(T * P * 4);
  const stageQ = dropped + 2 * T * 4;
  const stageGradO = stageQ + <usize>(T * D * 4);
  const ones = stageGradO + <usize>(T * E * 4);
  const sumK = ones + T * 4;
  const sumV = sumK + T * widthK;
  const direct = load<i32>(at + job.DIRECT);

  // Of the first row of the block, or with an order of the first row of all.
  const firstRow = order != 0 ? 0 : row;
  const typeO = load<i32>(at + job.O_TYPE);
  const typeQ = load<i32>(at + job.Q_TYPE);
  const typeGradO = load<i32>(at + job.GRAD_O_TYPE);
  let strideQ = word(at, job.Q_ROW);
  let strideGradO = word(at, job.GRAD_O_ROW);
  let rowsQ = rowAt(at, job.Q, job.Q_BATCH, batch, head, firstRow);
  let rowsGradO = rowAt(at, job.GRAD_O, job.GRAD_O_BATCH, batch, head, firstRow);
  if (typeQ != F32 || order != 0) {
    widenRows(typeQ, rowsQ, strideQ, order, count, D, stageQ);
    rowsQ = stageQ;
    strideQ = <usize>(D * 4);
  }
  if (typeGradO != F32 || order != 0) {
    widenRows(typeGradO, rowsGradO, strideGradO, order, count, E, stageGradO);
    rowsGradO = stageGradO;
    strideGradO = <usize>(E * 4);
  }
  readPanels(F32, rowsQ, strideQ, 0, count, D, Q, load<f32>(at + job.FACTOR), 0);
  readPanels(F32, rowsGradO, strideGradO, 0, count, E, dO, 1, 0);
  memory.fill(dQ, 0, T * widthK);
  const parameters = word(at, job.MODIFIER);
  const drops = load<i32>(at + job.DROP_BELOW) != 0;
  const wholeBatch = load<i32>(at + job.FIRST_BATCH) + batch;
  const wholeHead = load<i32>(at + job.FIRST_HEAD) + head;
  if (drops) dropoutRows(at, wholeBatch, wholeHead, row, order, dropped);

  let areFinite = rowsAreFinite(rowsQ, strideQ, count, D) && rowsAreFinite(rowsGradO, strideGradO, count, E);
  const first = <usize>((batch * H + head) * N + firstRow) * 4;
  for (let i: i32 = 0; i < T; i++) {
    const at4 = <usize>(i * 4);
    let l: f32 = UNSEEN;
    let x: f32 = 0;
    const r = i >= count ? -1 : order != 0 ? load<i32>(order + at4) : i;
    if (r >= 0) {
      const natural = load<f32>(word(at, job.LSE) + first + <usize>(r * 4));
      if (natural != -Infinity) l = <f32>(<f64>natural * 1.4426950408889634);
      // DELTA holds grad_lse before the first pass.
      const place = word(at, job.DELTA) + first + <usize>(r * 4);
      if (continues) {
        x = load<f32>(place);
      } else {
        let sum: f64 = -<f64>load<f32>(place);
        let o = rowAt(at, job.O, job.O_BATCH, batch, head, firstRow + r);
        if (typeO != F32) {
          widenRows(typeO, o, 0, 0, 1, E, S);
          o = S;
        }
        const g = rowsGradO + <usize>i * strideGradO;
        sum += dot(o, g, E);
        x = <f32>sum;
        store<f32>(place, x);
      }
    }
    if (l != l || x - x != 0) areFinite = false;
    store<f32>(lse + at4, l);
    store<f32>(delta + at4, x);
    store<f32>(factors + at4, load<f32>(at + job.SCALE));
    store<f32>(ones + at4, 1);
  }

  const widthV = <usize>(padded(E) * 4);
  const strideK = <usize>(D * 4);
  const strideV = <usize>(E * 4);
  for (let e = load<u32>(starts); e < end; e++) {
    const column = <i32>load<u32>(<usize>load<u32>(rows, 4) + (<usize>e << 2));
    const bitmap = load<i32>(<usize>load<u32>(rows, 8) + (<usize>e << 2));
    // The last block may have fewer keys; with an order, rows without a key are zeros.
    const keyOrder = <usize>load<u32>(rows, 20);
    const there = keyOrder != 0 ? T : min(T, <i32>word(at, job.M) - column * T);
    const K = readBlock(keyReader(scratch), column, 0, there);
    const V = readBlock(valueReader(scratch), column, 0, there);
    let rowsGradK = sumK;
    let rowsGradV = sumV;
    if (direct != 0) {
      memory.fill(sumK, 0, T * widthK);
      memory.fill(sumV, 0, T * widthV);
    } else {
      const slot = load<i32>(slots + <usize>(column * 4));
      rowsGradK = gradK + <usize>(slot * T) * widthK;
      rowsGradV = gradV + <usize>(slot * T) * widthV;
    }
    const isClean = bitmap < 0 || (areFinite && allFinite(K, there * D) && allFinite(V, there * E));
    let panel: i32 = 0;
    for (let q: i32 = 0; q < count; q += P) {
      const seen = keysSeen(word(at, job.RANGES), bitmap, panel * (P / 8), P / 8);
      const firstKey = seen & 0xff;
      const keys = (seen >> 8) - firstKey;
      const s = S + <usize>(panel * T * P * 4);
      const d = dS + <usize>(panel * T * P * 4);
      panel += 1;
      if (keys <= 0) continue;
      const firstColumn = column * T + firstKey;
      if (parameters == 0) {
        scores(K + <usize>firstKey * strideK, strideK, Q + <usize>(q * D * 4), s, keys, D);
        if (cap != 0) softcapTile(s, keys, cap);
      } else {
        scores(K + <usize>firstKey * strideK, strideK, Q + <usize>(q * D * 4), raw, keys, D);
        modify(raw, s, keys, firstColumn, row + q, wholeHead, wholeBatch, parameters);
      }
      const bits = word(at, job.BITMAPS) + <usize>bitmap * job.BITMAP_BYTES + <usize>(firstKey * 8);
      if (bitmap >= 0) maskTile(s, keys, bits, panel - 1);
      scores(V + <usize>firstKey * strideV, strideV, dO + <usize>(q * E * 4), d, keys, E);
      if (drops) dropTile(at, d, keys, firstColumn, keyOrder, dropped + <usize>(q * 4));
      gradientOfScores(s, d, keys, lse + <usize>(q * 4), delta + <usize>(q * 4), cap);
      if (drops) dropTile(at, s, keys, firstColumn, keyOrder, dropped + <usize>(q * 4));
      if (parameters != 0) {
        differentiate(raw, d, keys, firstColumn, row + q, wholeHead, wholeBatch, parameters, gradParameters);
      }
      const some = min(P, count - q);
      const panelK = K + <usize>firstKey * strideK;
      const panelQ = dQ + <usize>q * widthK;
      if (isClean) {
        accumulate(panelK, strideK, d, panelQ, widthK, keys, D);
      } else {
        clearTile(s, keys, bits, panel - 1);
        clearTile(d, keys, bits, panel - 1);
        accumulateSeen(panelK, strideK, d, panelQ, widthK, keys, D, bits, panel - 1);
        gradientsSeen(
          s, keys, some, rowsGradO + <usize>q * strideGradO, strideGradO, rowsGradV + <usize>firstKey * widthV, E, widthV, bits,
          panel - 1,
        );
        gradientsSeen(
          d, keys, some, rowsQ + <usize>q * strideQ, strideQ, rowsGradK + <usize>firstKey * widthK, D, widthK, bits, panel - 1,
        );
      }
      if (bitmap >= 0 && isClean) {
        gradients(s, keys, some, rowsGradO + <usize>q * strideGradO, strideGradO, rowsGradV + <usize>firstKey * widthV, E, widthV);
        gradients(d, keys, some, rowsQ + <usize>q * strideQ, strideQ, rowsGradK + <usize>firstKey * widthK, D, widthK);
      }
    }
    if (bitmap < 0) {
      gradients(S, T, count, rowsGradO, strideGradO, rowsGradV, E, widthV);
      gradients(dS, T, count, rowsQ, strideQ, rowsGradK, D, widthK);
    }
    if (direct != 0) {
      const adds = direct == 2 || !isFirst;
      const keyRow = keyOrder != 0 ? 0 : column * T;
      const places = keyOrder != 0 ? keyOrder + <usize>(column * T * 4) : 0;
      const outK = rowAt(at, job.GRAD_K, job.GRAD_K_BATCH, batch, group, keyRow);
      const outV = rowAt(at, job.GRAD_V, job.GRAD_V_BATCH, batch, group, keyRow);
      writeRows(F32, sumK, widthK, factors, outK, word(at, job.GRAD_K_ROW), places, there, D, adds, 0);
      writeRows(F32, sumV, widthV, ones, outV, word(at, job.GRAD_V_ROW), places, there, E, adds, 0);
    }
  }
  const gradQ = rowAt(at, job.GRAD_Q, job.GRAD_Q_BATCH, batch, head, firstRow);
  const strideGradQ = word(at, job.GRAD_Q_ROW);
  writeRows(load<i32>(at + job.GRAD_Q_TYPE), dQ, widthK, factors, gradQ, strideGradQ, order, count, D, continues, stageQ);
}

/** One segment: all its query blocks, of each of its heads, which share a key/value head. */
export function backwardSegment(at: usize, scratch: usize, index: i32): void {
  const segment = word(at, job.SEGMENTS) + <usize>(index * job.SEGMENT_WORDS * 4);
  const batch = load<i32>(segment);
  const group = load<i32>(segment, 4);
  const firstBlock = load<i32>(segment, 8);
  const endBlock = load<i32>(segment, 12);
  const slots = <usize>load<u32>(segment, 16);
  const keys = load<i32>(segment, 20) * T;
  const gradK = <usize>load<u32>(segment, 24);
  const gradV = <usize>load<u32>(segment, 28);
  const gradParameters = <usize>load<u32>(segment, 32);
  memory.fill(gradK, 0, <usize>(keys * padded(<i32>word(at, job.D)) * 4));
  memory.fill(gradV, 0, <usize>(keys * padded(<i32>word(at, job.E)) * 4));
  const endHead = load<i32>(segment, 40);
  for (let block = firstBlock; block < endBlock; block++) {
    for (let head = load<i32>(segment, 36); head < endHead; head++) {
      const isFirst = head == load<i32>(segment, 36);
      queryBlock(at, scratch, batch, head, group, block, slots, gradK, gradV, gradParameters, isFirst);
    }
  }
}

/** out [keys, width] += factor * rows; rows are padded to whole panels. */
function addRows(rows: usize, keys: i32, width: i32, out: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  const whole = width & ~7;
  for (let key: i32 = 0; key < keys; key++) {
    for (let c: i32 = 0; c < whole; c += 8) {
      const o = out + <usize>(c * 4);
      const r = rows + <usize>(c * 4);
      const x0 = f32x4.add(v128.load(o), f32x4.mul(v128.load(r), f));
      const x1 = f32x4.add(v128.load(o, 16), f32x4.mul(v128.load(r, 16), f));
      storePair(o, x0, x1);
    }
    for (let c = whole; c < width; c++) {
      const o = out + <usize>(c * 4);
      store<f32>(o, load<f32>(o) + load<f32>(rows + <usize>(c * 4)) * factor);
    }
    rows += <usize>(padded(width) * 4);
    out += <usize>(width * 4);
  }
}

/**
 * One block of keys of one key/value head: the sum over the segments that touch it, in their order, and what earlier passes have
 * summed up.
 */
export function sumSegments(at: usize, scratch: usize, batch: i32, group: i32, block: i32): void {
  const D = <i32>word(at, job.D);
  const E = <i32>word(at, job.E);
  const keys = min(T, <i32>word(at, job.M) - block * T);
  const strideK = word(at, job.GRAD_K_ROW);
  const strideV = word(at, job.GRAD_V_ROW);
  const outK = rowAt(at, job.GRAD_K, job.GRAD_K_BATCH, batch, group, block * T);
  const outV = rowAt(at, job.GRAD_V, job.GRAD_V_BATCH, batch, group, block * T);
  const sumK = scratch + word(at, job.BLOCKS_BYTES);
  const sumV = sumK + <usize>(T * D * 4);
  if (load<i32>(at + job.PASS) == 2) {
    widenRows(F32, outK, strideK, 0, keys, D, sumK);
    widenRows(F32, outV, strideV, 0, keys, E, sumV);
  } else {
    memory.fill(sumK, 0, <usize>(T * (D + E) * 4));
  }
  const segments = <i32>word(at, job.SEGMENT_COUNT);
  for (let i: i32 = 0; i < segments; i++) {
    const segment = word(at, job.SEGMENTS) + <usize>(i * job.SEGMENT_WORDS * 4);
    if (load<i32>(segment) != batch || load<i32>(segment, 4) != group) continue;
    const slots = <usize>load<u32>(segment, 16);
    const columns = <usize>load<u32>(headRows(at, job.MASK, load<i32>(segment, 36)), 24);
    // With an order of keys, one by one from where it puts them.
    const step = columns == 0 ? T : 1;
    for (let key: i32 = 0; key < keys; key += step) {
      const column = columns == 0 ? block * T : load<i32>(columns + <usize>((block * T + key) * 4));
      const slot = column < 0 ? -1 : load<i32>(slots + <usize>(column / T * 4));
      if (slot < 0) continue;
      const first = <usize>((slot * T + column % T) * 4);
      const some = min(step, keys);
      const gradK = <usize>load<u32>(segment, 24) + first * <usize>padded(D);
      const gradV = <usize>load<u32>(segment, 28) + first * <usize>padded(E);
      addRows(gradK, some, D, sumK + <usize>(key * D * 4), load<f32>(at + job.SCALE));
      addRows(gradV, some, E, sumV + <usize>(key * E * 4), 1);
    }
  }
  narrowRows(load<i32>(at + job.GRAD_K_TYPE), sumK, keys, D, outK, strideK);
  narrowRows(load<i32>(at + job.GRAD_V_TYPE), sumV, keys, E, outV, strideV);
}

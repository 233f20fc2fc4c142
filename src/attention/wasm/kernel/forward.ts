/**
 * Forward attention for one block of T queries of one head, streaming over the key blocks that its mask keeps.
 *
 * Scores are computed transposed: S = K Q^T [keys, queries], in panels of P queries, so that the softmax is vertical; O += S^T V reads
 * them as they lie, each probability broadcast for P numbers of a value. So keys, values and output have the layout they come
 * in, and only the queries are turned, once for each query block. Of a partial block, each panel computes only the
 * keys between the first and the last that one of its queries sees.
 *
 * Scratch of a worker, in bytes: what rows.ts keeps, Q panels T D 4, second Q panels T D 4, O rows T E 4 with E rounded up to
 * whole panels, S T P 4, m, l and
 * factors T 4 each, the rows' keys of dropout 2 T 4, a stage T max(D, E) 4 for rows of queries and output that are not f32 or have an
 * order of their own.
 */
import * as job from './job';
import { T } from './job';
import { dropTile, dropoutRows } from './dropout';
import { addRows, readPanels, writeRows } from './layout';
import { modify } from './modifier';
import { keyReader, openBlocks, readBlock, rowAt, valueReader, word } from './rows';
import { maskTile, softcapTile, softmaxTile } from './softmax';
import { P, TILE_ROWS, scoreRemainder, scoreTile6, valuePanel } from './tiles.generated';
import { exp2, log2, log2Pair } from './vector';

/** The arrays of one head's rows: see job.MASK. */
@inline
export function headRows(at: usize, field: usize, head: i32): usize {
  return load<u32>(word(at, field) + <usize>(head * 4));
}

export function scores(K: usize, strideK: usize, Q: usize, S: usize, count: i32, D: i32): void {
  let i: i32 = 0;
  for (; i + TILE_ROWS <= count; i += TILE_ROWS) {
    scoreTile6(K, strideK, Q, S, D);
    K += <usize>TILE_ROWS * strideK;
    S += <usize>(TILE_ROWS * P * 4);
  }
  if (i < count) scoreRemainder(count - i, K, strideK, Q, S, D);
}

/** Width of a row of sums: a whole number of panels. */
@inline
export function padded(width: i32): i32 {
  return (width + P - 1) / P * P;
}

/** O [P queries, E padded] += S^T V for a panel of probabilities S [count keys, P]. Columns beyond E are of no meaning. */
export function accumulate(V: usize, strideV: usize, S: usize, O: usize, strideO: usize, count: i32, E: i32): void {
  for (let e: i32 = 0; e < E; e += P) {
    valuePanel(S, V, strideV, O, strideO, count);
    V += P * 4;
    O += P * 4;
  }
}

/**
 * The keys of a block that groups of 8 queries [group, group + groups) see, from the first to the last: first | end << 8. All T for
 * a full block.
 */
@inline
export function keysSeen(ranges: usize, bitmap: i32, group: i32, groups: i32): i32 {
  if (bitmap < 0) return T << 8;
  let first: i32 = T;
  let end: i32 = 0;
  let range = ranges + <usize>bitmap * job.RANGE_BYTES + <usize>(group * 2);
  for (let i: i32 = 0; i < groups; i++) {
    first = min(first, <i32>load<u8>(range));
    end = max(end, <i32>load<u8>(range, 1));
    range += 2;
  }
  return first | (end << 8);
}

/** Whether all numbers are finite: x - x is 0 for these alone, all of whose bits are 0. */
export function allFinite(from: usize, count: i32): bool {
  const end = from + <usize>((count & ~15) * 4);
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  for (; from < end; from += 64) {
    const x0 = v128.load(from);
    const x1 = v128.load(from, 16);
    const x2 = v128.load(from, 32);
    const x3 = v128.load(from, 48);
    a = v128.or(a, v128.or(f32x4.sub(x0, x0), f32x4.sub(x2, x2)));
    b = v128.or(b, v128.or(f32x4.sub(x1, x1), f32x4.sub(x3, x3)));
  }
  let rest: f32 = 0;
  for (let i: i32 = 0; i < (count & 15); i++) {
    const x = load<f32>(from + <usize>(i * 4));
    rest += x - x;
  }
  return rest == 0 && v128.any_true(v128.or(a, b)) == 0;
}

/**
 * accumulate() for a partial block with values that are not finite: 0 times such a value is not 0, so that rows which do not see its key
 * must not meet it. `bits` are those of the first key.
 */
export function accumulateSeen(
  V: usize, strideV: usize, S: usize, O: usize, strideO: usize, count: i32, E: i32, bits: usize, panel: i32,
): void {
  for (let k: i32 = 0; k < count; k++) {
    if (allFinite(V, E)) {
      accumulate(V, strideV, S, O, strideO, 1, E);
    } else {
      for (let j: i32 = 0; j < P; j++) {
        const query = panel * P + j;
        if ((<i32>load<u8>(bits + <usize>(query >> 3)) & (1 << (query & 7))) == 0) continue;
        const p = load<f32>(S + <usize>(j * 4));
        const row = O + <usize>j * strideO;
        for (let e: i32 = 0; e < E; e++) {
          const o = row + <usize>(e * 4);
          store<f32>(o, load<f32>(o) + p * load<f32>(V + <usize>(e * 4)));
        }
      }
    }
    V += strideV;
    S += <usize>(P * 4);
    bits += 8;
  }
}

/** Streams over the key blocks of one part of the mask. */
function part(
  at: usize, blocks: usize, rows: usize, bitmaps: usize, ranges: usize, block: i32, batch: i32, head: i32, count: i32,
  Q: usize, O: usize, S: usize, m: usize, l: usize, factors: usize, dropped: usize,
): void {
  const D = <i32>word(at, job.D);
  const E = <i32>word(at, job.E);
  const cap = load<f32>(at + job.CAP);
  const strideK = <usize>(D * 4);
  const strideV = <usize>(E * 4);
  const strideO = <usize>(padded(E) * 4);
  const first = load<u32>(<usize>load<u32>(rows) + <usize>(block * 4));
  const end = load<u32>(<usize>load<u32>(rows) + <usize>(block * 4), 4);
  const columns = <usize>load<u32>(rows, 4);
  const bitmapOf = <usize>load<u32>(rows, 8);
  const parameters = word(at, job.MODIFIER);
  const drops = load<i32>(at + job.DROP_BELOW) != 0;
  for (let e = first; e < end; e++) {
    const column = load<i32>(columns + (<usize>e << 2));
    const bitmap = load<i32>(bitmapOf + (<usize>e << 2));
    const blockKey = load<i32>(<usize>load<u32>(rows, 12) + (<usize>e << 2)) * T;
    const blockSeen = keysSeen(ranges, bitmap, 0, T / 8);
    const from = blockSeen & 0xff;
    const to = blockSeen >> 8;
    if (to <= from) continue;
    const K = readBlock(keyReader(blocks), column, from, to);
    const V = readBlock(valueReader(blocks), column, from, to);
    const areFinite = bitmap < 0 || allFinite(V + <usize>from * strideV, (to - from) * E);
    let panel: i32 = 0;
    for (let q: i32 = 0; q < count; q += P) {
      const panelSeen = keysSeen(ranges, bitmap, panel * (P / 8), P / 8);
      const firstKey = panelSeen & 0xff;
      const keys = (panelSeen >> 8) - firstKey;
      if (keys > 0) {
        scores(K + <usize>firstKey * strideK, strideK, Q + <usize>(q * D * 4), S, keys, D);
        if (cap != 0) softcapTile(S, keys, cap);
        if (parameters != 0) {
          modify(
            S, S, keys, blockKey + firstKey, block * T + q, load<i32>(at + job.FIRST_HEAD) + head,
            load<i32>(at + job.FIRST_BATCH) + batch, parameters,
          );
        }
        const bits = bitmaps + <usize>bitmap * job.BITMAP_BYTES + <usize>(firstKey * 8);
        if (bitmap >= 0) maskTile(S, keys, bits, panel);
        const panelO = O + <usize>q * strideO;
        softmaxTile(S, keys, m + <usize>(q * 4), l + <usize>(q * 4), factors + <usize>(q * 4), panelO, strideO);
        if (drops) dropTile(at, S, keys, blockKey + firstKey, <usize>load<u32>(rows, 20), dropped + <usize>(q * 4));
        const seen = V + <usize>firstKey * strideV;
        if (areFinite) accumulate(seen, strideV, S, panelO, strideO, keys, E);
        else accumulateSeen(seen, strideV, S, panelO, strideO, keys, E, bits, panel);
      }
      panel += 1;
    }
  }
}

/** One task: batch, head and query block. */
export function forwardBlock(at: usize, scratch: usize, batch: i32, head: i32, block: i32): void {
  const D = <i32>word(at, job.D);
  const E = <i32>word(at, job.E);
  const N = <i32>word(at, job.N);
  const H = <i32>word(at, job.H);
  const group = head / (H / <i32>word(at, job.G));
  const row = block * T;
  const rows = headRows(at, job.MASK, head);
  const lists = <usize>load<u32>(rows, 16);
  const order = lists == 0 ? 0 : lists + <usize>(row * 4);
  const count = order != 0 ? T : min(T, N - row);
  if (count <= 0 || (order != 0 && load<i32>(order) < 0)) return;
  const continues = load<i32>(at + job.PASS) == 2;
  const starts = <usize>load<u32>(rows) + <usize>(block * 4);
  if (continues && load<u32>(starts) == load<u32>(starts, 4)) return;
  const factor = load<f32>(at + job.FACTOR);

  openBlocks(at, scratch, batch, group, <usize>load<u32>(rows, 20));
  const Q = scratch + word(at, job.BLOCKS_BYTES);
  const secondQ = Q + <usize>(T * D * 4);
  const O = secondQ + <usize>(T * D * 4);
  const widthO = <usize>(padded(E) * 4);
  const S = O + T * widthO;
  const m = S + <usize>(T * P * 4);
  const l = m + T * 4;
  const factors = l + T * 4;
  const dropped = factors + T * 4;
  const stage = dropped + 2 * T * 4;

  // Of the first row of the block, or with an order of the first row of all.
  const firstRow = order != 0 ? 0 : row;
  const typeQ = load<i32>(at + job.Q_TYPE);
  const strideQ = word(at, job.Q_ROW);
  const strideO = word(at, job.O_ROW);
  const out = rowAt(at, job.O, job.O_BATCH, batch, head, firstRow);
  const lse = word(at, job.LSE) + <usize>((batch * H + head) * N + firstRow) * 4;
  readPanels(typeQ, rowAt(at, job.Q, job.Q_BATCH, batch, head, firstRow), strideQ, order, count, D, Q, factor, stage);
  memory.fill(O, 0, T * widthO);
  const lowest = f32x4.splat(job.LOWEST);
  for (let i: usize = 0; i < <usize>(T * 4); i += 16) {
    v128.store(m + i, lowest);
    v128.store(l + i, f32x4.splat(0));
  }

  if (load<i32>(at + job.DROP_BELOW) != 0) {
    dropoutRows(
      at, load<i32>(at + job.FIRST_BATCH) + batch, load<i32>(at + job.FIRST_HEAD) + head, row, order, dropped,
    );
  }
  part(
    at, scratch, rows, word(at, job.BITMAPS), word(at, job.RANGES), block, batch, head, count, Q, O, S, m, l, factors,
    dropped,
  );
  if (word(at, job.SECOND_Q) != 0) {
    readPanels(typeQ, rowAt(at, job.SECOND_Q, job.Q_BATCH, batch, head, row), strideQ, 0, count, D, secondQ, factor, stage);
    part(
      at, scratch, headRows(at, job.SECOND_MASK, head), word(at, job.SECOND_BITMAPS), word(at, job.SECOND_RANGES), block, batch, head,
      count, secondQ, O, S, m, l, factors, dropped,
    );
  }

  if (continues) {
    mergeRows(m, l, count, order, lse, factors);
    addRows(O, widthO, factors, m, out, strideO, order, count, E);
    return;
  }
  if (word(at, job.SINK_LOGITS) == 0) {
    finishRows(m, l, count, order, lse, factors);
  } else {
    for (let i: i32 = 0; i < count; i++) {
      const at4 = <usize>(i * 4);
      const r = order != 0 ? load<i32>(order + at4) : i;
      let f: f32 = 0;
      if (r >= 0) f = finishRow(at, head, load<f32>(m + at4), load<f32>(l + at4), lse + <usize>(r * 4));
      store<f32>(factors + at4, f);
    }
  }
  writeRows(load<i32>(at + job.O_TYPE), O, widthO, factors, out, strideO, order, count, E, false, stage);
}

/** Stores the natural-log lse of a row, the sink logit included, and returns the factor that its output still needs. */
export function finishRow(at: usize, head: i32, m: f32, l: f32, lse: usize): f32 {
  let sum = <f64>l;
  let reference = <f64>m;
  const sinks = word(at, job.SINK_LOGITS);
  if (sinks != 0) {
    const sink = <f64>load<f32>(sinks + <usize>(head * 4)) * 1.4426950408889634;
    if (sink > reference) {
      sum = sum * power(reference - sink) + 1.0;
      reference = sink;
    } else {
      sum += power(sink - reference);
    }
  }
  if (!(sum > 0)) {
    store<f32>(lse, sum == 0 ? -Infinity : NaN);
    return sum == 0 ? 0 : NaN;
  }
  store<f32>(lse, <f32>((reference + log2(sum)) * 0.6931471805599453));
  return <f32>((<f64>m == reference ? 1 : power(<f64>m - reference)) / sum);
}

/** finishRow() of all rows of a block, without a sink: two at a time, to the same bits. l becomes lse. */
function finishRows(m: usize, l: usize, count: i32, order: usize, lse: usize, factors: usize): void {
  const end = m + <usize>(count * 4);
  let x = m;
  let y = l;
  for (; x < end; x += 8) {
    const sum = f64x2.promote_low_f32x4(v128.load64_zero(y));
    const none = f64x2.eq(sum, f64x2.splat(0));
    const isSum = f64x2.gt(sum, f64x2.splat(0));
    let natural = f64x2.add(f64x2.promote_low_f32x4(v128.load64_zero(x)), log2Pair(sum));
    natural = f64x2.mul(natural, f64x2.splat(0.6931471805599453));
    let factor = f64x2.div(f64x2.splat(1), sum);
    const otherwise = v128.andnot(f64x2.splat(NaN), none);
    natural = v128.bitselect(natural, v128.bitselect(f64x2.splat(-Infinity), otherwise, none), isSum);
    factor = v128.bitselect(factor, otherwise, isSum);
    v128.store64_lane(y, f32x4.demote_f64x2_zero(natural), 0);
    v128.store64_lane(factors, f32x4.demote_f64x2_zero(factor), 0);
    y += 8;
    factors += 8;
  }
  for (let i: i32 = 0; i < count; i++) {
    const at4 = <usize>(i * 4);
    const r = order != 0 ? load<i32>(order + at4) : i;
    if (r >= 0) store<f32>(lse + <usize>(r * 4), load<f32>(l + at4));
  }
}

/**
 * finishRows() of a pass after others, whose lse of the rows is there: with both, lse becomes that of all. `factors` are those of this pass's
 * sums, and m becomes the factors of the rows that are there.
 */
function mergeRows(m: usize, l: usize, count: i32, order: usize, lse: usize, factors: usize): void {
  const log2e = f64x2.splat(1.4426950408889634);
  const one = f64x2.splat(1);
  for (let i: i32 = 0; i < count; i += 2) {
    const x = m + <usize>(i * 4);
    const y = l + <usize>(i * 4);
    const r0 = order != 0 ? load<i32>(order + <usize>(i * 4)) : i;
    const r1 = i + 1 >= count ? -1 : order != 0 ? load<i32>(order + <usize>(i * 4), 4) : i + 1;
    const b0: f32 = r0 < 0 ? -Infinity : load<f32>(lse + <usize>(r0 * 4));
    const b1: f32 = r1 < 0 ? -Infinity : load<f32>(lse + <usize>(r1 * 4));
    const before = f64x2.replace_lane(f64x2.splat(<f64>b0), 1, <f64>b1);
    const isNumber = v128.or(f64x2.lt(f64x2.abs(before), f64x2.splat(Infinity)), f64x2.eq(before, f64x2.splat(-Infinity)));
    const sum = f64x2.promote_low_f32x4(v128.load64_zero(y));
    const none = f64x2.eq(sum, f64x2.splat(0));
    const own = f64x2.add(f64x2.promote_low_f32x4(v128.load64_zero(x)), log2Pair(sum));
    const other = f64x2.mul(before, log2e);
    // The smaller of the two, and 1 for the greater.
    const less = f64x2.neg(f64x2.abs(f64x2.sub(own, other)));
    const small = f64x2.promote_low_f32x4(exp2(f32x4.demote_f64x2_zero(less)));
    const both = f64x2.add(one, small);
    const isOwn = f64x2.ge(own, other);
    let natural = f64x2.add(f64x2.pmax(own, other), log2Pair(both));
    natural = v128.bitselect(before, f64x2.mul(natural, f64x2.splat(0.6931471805599453)), none);
    let factor = f64x2.div(v128.bitselect(one, small, isOwn), f64x2.mul(both, sum));
    let kept = f64x2.div(v128.bitselect(small, one, isOwn), both);
    factor = v128.andnot(factor, none);
    kept = v128.bitselect(one, kept, none);
    // A row that is not a number stays one.
    const wrong = v128.not(v128.and(isNumber, v128.or(none, f64x2.gt(sum, f64x2.splat(0)))));
    natural = v128.bitselect(f64x2.splat(NaN), natural, wrong);
    kept = v128.bitselect(f64x2.splat(NaN), kept, wrong);
    const n = f32x4.demote_f64x2_zero(natural);
    v128.store64_lane(factors + <usize>(i * 4), f32x4.demote_f64x2_zero(factor), 0);
    v128.store64_lane(x, f32x4.demote_f64x2_zero(kept), 0);
    if (r0 >= 0) store<f32>(lse + <usize>(r0 * 4), f32x4.extract_lane(n, 0));
    if (r1 >= 0) store<f32>(lse + <usize>(r1 * 4), f32x4.extract_lane(n, 1));
  }
}

/** 2^x for x <= 0 in float64: the integer goes into the exponent, the rest through the Taylor series of exp. */
function power(x: f64): f64 {
  if (x < -1000) return 0;
  const whole = nearest<f64>(x);
  const f = (x - whole) * 0.6931471805599453;
  let sum: f64 = 1.0 / 87178291200.0;
  sum = sum * f + 1.0 / 6227020800.0;
  sum = sum * f + 1.0 / 479001600.0;
  sum = sum * f + 1.0 / 39916800.0;
  sum = sum * f + 1.0 / 3628800.0;
  sum = sum * f + 1.0 / 362880.0;
  sum = sum * f + 1.0 / 40320.0;
  sum = sum * f + 1.0 / 5040.0;
  sum = sum * f + 1.0 / 720.0;
  sum = sum * f + 1.0 / 120.0;
  sum = sum * f + 1.0 / 24.0;
  sum = sum * f + 1.0 / 6.0;
  sum = sum * f + 0.5;
  sum = sum * f + 1.0;
  sum = sum * f + 1.0;
  return sum * reinterpret<f64>((<u64>(1023 + <i32>whole)) << 52);
}

/** Rows of queries become panels, where the P queries of a panel are adjacent; and rows of f32 those of results. */
import { F32, narrowRows, readAhead, widenRows } from './rows';
import { P } from './tiles.generated';
import { fma, storePair } from './vector';

@inline
function transpose4(a: v128, b: v128, c: v128, d: v128, to0: usize, to1: usize, to2: usize, to3: usize): void {
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to0, v128.shuffle<f32>(ab0, cd0, 0, 1, 4, 5));
  v128.store(to1, v128.shuffle<f32>(ab0, cd0, 2, 3, 6, 7));
  v128.store(to2, v128.shuffle<f32>(ab1, cd1, 0, 1, 4, 5));
  v128.store(to3, v128.shuffle<f32>(ab1, cd1, 2, 3, 6, 7));
}

/** Where row i of a block lies: of `order`, i32 [T], or one after the other where that is 0; `none` where the order has -1. */
@inline
function place(from: usize, stride: usize, order: usize, i: i32, none: usize): usize {
  if (order == 0) return from + <usize>i * stride;
  const row = load<i32>(order + <usize>(i * 4));
  return row < 0 ? none : from + <usize>row * stride;
}

/**
 * Rows [count, width] at `from`, or those that `order` names, become panels [ceil(count / P), width, P] at `to`, times `factor`.
 * Missing rows are zero; what is in the place of an order's -1 is any row.
 */
function toPanels(from: usize, stride: usize, order: usize, count: i32, width: i32, to: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  const step = <usize>(P * 4);
  for (let first: i32 = 0; first < count; first += P) {
    if (order != 0) readAhead(from, stride, order, first, count, <usize>(width * 4));
    for (let i: i32 = 0; i < P; i += 4) {
      const out = to + <usize>((first * width + i) * 4);
      const row = first + i;
      let d: i32 = 0;
      if (row + 4 <= count) {
        let x0 = place(from, stride, order, row, from);
        let x1 = place(from, stride, order, row + 1, from);
        let x2 = place(from, stride, order, row + 2, from);
        let x3 = place(from, stride, order, row + 3, from);
        let y = out;
        for (; d + 4 <= width; d += 4) {
          transpose4(
            f32x4.mul(v128.load(x0), f),
            f32x4.mul(v128.load(x1), f),
            f32x4.mul(v128.load(x2), f),
            f32x4.mul(v128.load(x3), f),
            y,
            y + step,
            y + 2 * step,
            y + 3 * step,
          );
          x0 += 16;
          x1 += 16;
          x2 += 16;
          x3 += 16;
          y += 4 * step;
        }
      }
      for (; d < width; d++) {
        for (let j: i32 = 0; j < 4; j++) {
          let x: f32 = 0;
          if (row + j < count) x = load<f32>(place(from, stride, order, row + j, from) + <usize>(d * 4)) * factor;
          store<f32>(out + <usize>d * step + <usize>(j * 4), x);
        }
      }
    }
  }
}

/**
 * toPanels() of rows of a type. Where `order` is not 0, it says which rows, i32 [T], -1 for none; `from` is then row 0 of all.
 * `stage` has room for T rows of f32.
 */
export function readPanels(
  type: i32, from: usize, stride: usize, order: usize, count: i32, width: i32, to: usize, factor: f32, stage: usize,
): void {
  if (type != F32) {
    widenRows(type, from, stride, order, count, width, stage);
    from = stage;
    stride = <usize>(width * 4);
    order = 0;
  }
  toPanels(from, stride, order, count, width, to, factor);
}

/** Writes or adds `factor` times a row. */
function writeRow(from: usize, factor: f32, width: i32, to: usize, adds: bool): void {
  const f = f32x4.splat(factor);
  const end = from + <usize>((width & ~7) * 4);
  for (; from < end; from += 32) {
    let x0 = f32x4.mul(v128.load(from), f);
    let x1 = f32x4.mul(v128.load(from, 16), f);
    if (adds) {
      x0 = f32x4.add(v128.load(to), x0);
      x1 = f32x4.add(v128.load(to, 16), x1);
    }
    storePair(to, x0, x1);
    to += 32;
  }
  for (let i: i32 = 0; i < (width & 7); i++) {
    const x = load<f32>(from) * factor;
    store<f32>(to, adds ? load<f32>(to) + x : x);
    from += 4;
    to += 4;
  }
}

/**
 * Rows [count, width] of f32 at `from`, each times its factor, become rows of a type at `to`, one after the other or those that `order`
 * names (-1: none); or are added to them, which then are f32. `stage` has room for T rows of f32.
 */
export function writeRows(
  type: i32, from: usize, strideFrom: usize, factors: usize, to: usize, stride: usize, order: usize, count: i32, width: i32, adds: bool,
  stage: usize,
): void {
  const direct = type == F32;
  for (let i: i32 = 0; i < count; i++) {
    if (direct && order != 0) readAhead(to, stride, order, i, count, <usize>(width * 4));
    const row = order == 0 ? i : load<i32>(order + <usize>(i * 4));
    const out = direct ? to + <usize>row * stride : stage + <usize>(i * width * 4);
    if (row >= 0) writeRow(from, load<f32>(factors + <usize>(i * 4)), width, out, adds);
    from += strideFrom;
  }
  if (!direct) narrowRows(type, stage, count, width, to, stride);
}

/** Rows [count, width] of f32 at `from`, each times its factor, are added to rows at `to` that `order` names, or that follow one another, each times its own. */
export function addRows(
  from: usize, strideFrom: usize, factors: usize, kept: usize, to: usize, stride: usize, order: usize, count: i32, width: i32,
): void {
  for (let i: i32 = 0; i < count; i++) {
    if (order != 0) readAhead(to, stride, order, i, count, <usize>(width * 4));
    const row = order == 0 ? i : load<i32>(order + <usize>(i * 4));
    if (row >= 0) addRow(from, load<f32>(factors + <usize>(i * 4)), load<f32>(kept + <usize>(i * 4)), width, to + <usize>row * stride);
    from += strideFrom;
  }
}

function addRow(from: usize, factor: f32, kept: f32, width: i32, to: usize): void {
  const f = f32x4.splat(factor);
  const g = f32x4.splat(kept);
  const end = from + <usize>((width & ~7) * 4);
  for (; from < end; from += 32) {
    const x0 = fma(v128.load(to), g, f32x4.mul(v128.load(from), f));
    const x1 = fma(v128.load(to, 16), g, f32x4.mul(v128.load(from, 16), f));
    storePair(to, x0, x1);
    to += 32;
  }
  for (let i: i32 = 0; i < (width & 7); i++) {
    store<f32>(to, load<f32>(to) * kept + load<f32>(from) * factor);
    from += 4;
    to += 4;
  }
}

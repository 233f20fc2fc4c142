/** Changes of layout between rows of queries and panels, where the P queries of a panel are adjacent. */
import { F32, narrowRows, widenRows } from './rows';
import { P } from './tiles.generated';

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
 * Panels [ceil(count / P), width, P] at `from`, column i times factors[i], become rows [count, width] at `to`, or those that
 * `order` names; those of a -1 go to the row at `none`.
 */
export function fromPanels(
  from: usize, factors: usize, to: usize, stride: usize, order: usize, none: usize, count: i32, width: i32,
): void {
  const step = <usize>(P * 4);
  for (let first: i32 = 0; first < count; first += P) {
    for (let i: i32 = 0; i < P; i += 4) {
      const row = first + i;
      if (row >= count) return;
      const f = v128.load(factors + <usize>(row * 4));
      const x = from + <usize>((first * width + i) * 4);
      let d: i32 = 0;
      if (row + 4 <= count) {
        let to0 = place(to, stride, order, row, none);
        let to1 = place(to, stride, order, row + 1, none);
        let to2 = place(to, stride, order, row + 2, none);
        let to3 = place(to, stride, order, row + 3, none);
        for (; d + 4 <= width; d += 4) {
          const y = x + <usize>d * step;
          transpose4(
            f32x4.mul(v128.load(y), f),
            f32x4.mul(v128.load(y + step), f),
            f32x4.mul(v128.load(y + 2 * step), f),
            f32x4.mul(v128.load(y + 3 * step), f),
            to0,
            to1,
            to2,
            to3,
          );
          to0 += 16;
          to1 += 16;
          to2 += 16;
          to3 += 16;
        }
      }
      for (; d < width; d++) {
        for (let j: i32 = 0; j < 4 && row + j < count; j++) {
          const value = load<f32>(x + <usize>d * step + <usize>(j * 4)) * load<f32>(factors + <usize>((row + j) * 4));
          store<f32>(place(to, stride, order, row + j, none) + <usize>(d * 4), value);
        }
      }
    }
  }
}

/** Contiguous rows of `bytes` go where an order says, i32 [rows] (-1: nowhere), or one after the other where `order` is 0. */
export function scatterRows(from: usize, order: usize, rows: i32, bytes: usize, to: usize, stride: usize, adds: bool): void {
  const whole = bytes & ~15;
  for (let i: i32 = 0; i < rows; i++) {
    const row = order != 0 ? load<i32>(order + <usize>(i * 4)) : i;
    if (row >= 0) {
      const x = to + <usize>row * stride;
      let j: usize = 0;
      for (; j < whole; j += 16) {
        const y = v128.load(from + j);
        v128.store(x + j, adds ? f32x4.add(v128.load(x + j), y) : y);
      }
      for (; j < bytes; j += 4) store<f32>(x + j, load<f32>(from + j) + (adds ? load<f32>(x + j) : 0));
    }
    from += bytes;
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

/** fromPanels() to rows of a type, which is f32 where they have an order; `stage` has room for T rows of f32. */
export function writePanels(
  type: i32, from: usize, factors: usize, to: usize, stride: usize, order: usize, count: i32, width: i32, stage: usize,
): void {
  if (type == F32 || order != 0) {
    fromPanels(from, factors, to, stride, order, stage, count, width);
  } else {
    fromPanels(from, factors, stage, <usize>(width * 4), 0, 0, count, width);
    narrowRows(type, stage, count, width, to, stride);
  }
}

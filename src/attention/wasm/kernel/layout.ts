/** Changes of layout between rows of queries and panels, where the P queries of a panel are adjacent. */
import { F32, narrowRows, widenRows } from './rows';
import { P } from './tiles.generated';

@inline
function transpose4(a: v128, b: v128, c: v128, d: v128, store: usize, stride: usize): void {
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(store, v128.shuffle<f32>(ab0, cd0, 0, 1, 4, 5));
  v128.store(store + stride, v128.shuffle<f32>(ab0, cd0, 2, 3, 6, 7));
  v128.store(store + 2 * stride, v128.shuffle<f32>(ab1, cd1, 0, 1, 4, 5));
  v128.store(store + 3 * stride, v128.shuffle<f32>(ab1, cd1, 2, 3, 6, 7));
}

/** Rows [count, width] at `from` become panels [ceil(count / P), width, P] at `to`, times `factor`; missing rows are zero. */
function toPanels(from: usize, stride: usize, count: i32, width: i32, to: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  const step = <usize>(P * 4);
  for (let first: i32 = 0; first < count; first += P) {
    for (let i: i32 = 0; i < P; i += 4) {
      const out = to + <usize>((first * width + i) * 4);
      const row = first + i;
      let d: i32 = 0;
      if (row + 4 <= count) {
        let x = from + <usize>row * stride;
        for (; d + 4 <= width; d += 4) {
          transpose4(
            f32x4.mul(v128.load(x), f),
            f32x4.mul(v128.load(x + stride), f),
            f32x4.mul(v128.load(x + 2 * stride), f),
            f32x4.mul(v128.load(x + 3 * stride), f),
            out + <usize>d * step,
            step,
          );
          x += 16;
        }
      }
      for (; d < width; d++) {
        for (let j: i32 = 0; j < 4; j++) {
          const x: f32 = row + j < count ? load<f32>(from + <usize>(row + j) * stride + <usize>(d * 4)) * factor : 0;
          store<f32>(out + <usize>d * step + <usize>(j * 4), x);
        }
      }
    }
  }
}

/** Panels [ceil(count / P), width, P] at `from`, column i times factors[i], become rows [count, width] at `to`. */
export function fromPanels(from: usize, factors: usize, to: usize, stride: usize, count: i32, width: i32): void {
  const step = <usize>(P * 4);
  for (let first: i32 = 0; first < count; first += P) {
    for (let i: i32 = 0; i < P; i += 4) {
      const row = first + i;
      if (row >= count) return;
      const f = v128.load(factors + <usize>(row * 4));
      const x = from + <usize>((first * width + i) * 4);
      let d: i32 = 0;
      if (row + 4 <= count) {
        for (; d + 4 <= width; d += 4) {
          const y = x + <usize>d * step;
          transpose4(
            f32x4.mul(v128.load(y), f),
            f32x4.mul(v128.load(y + step), f),
            f32x4.mul(v128.load(y + 2 * step), f),
            f32x4.mul(v128.load(y + 3 * step), f),
            to + <usize>row * stride + <usize>(d * 4),
            stride,
          );
        }
      }
      for (; d < width; d++) {
        for (let j: i32 = 0; j < 4 && row + j < count; j++) {
          const value = load<f32>(x + <usize>d * step + <usize>(j * 4)) * load<f32>(factors + <usize>((row + j) * 4));
          store<f32>(to + <usize>(row + j) * stride + <usize>(d * 4), value);
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
 * toPanels() of rows of a type. Where `order` is not 0, it says which rows, i32 [T], -1 for a row of zeros; `from` is then row 0 of
 * all. `stage` has room for T rows of f32.
 */
export function readPanels(
  type: i32, from: usize, stride: usize, order: usize, count: i32, width: i32, to: usize, factor: f32, stage: usize,
): void {
  if (type != F32 || order != 0) {
    widenRows(type, from, stride, order, count, width, stage);
    from = stage;
    stride = <usize>(width * 4);
  }
  toPanels(from, stride, count, width, to, factor);
}

/** fromPanels() to rows of a type; `stage` has room for T rows of f32. */
export function writePanels(
  type: i32, from: usize, factors: usize, to: usize, stride: usize, count: i32, width: i32, stage: usize,
): void {
  if (type == F32) {
    fromPanels(from, factors, to, stride, count, width);
  } else {
    fromPanels(from, factors, stage, <usize>(width * 4), count, width);
    narrowRows(type, stage, count, width, to, stride);
  }
}

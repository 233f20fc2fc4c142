/** The register tile alone, all operands in the first cache: the most that the kernel could reach. */
import { P, TILE_ROWS, scoreTile6 } from '../../../src/attention/wasm/kernel/tiles.generated';

/** Multiplies A [48, 64] by B [64, P] into C [48, P] `times` times; the multiply-adds of all of it. */
export function multiply(A: usize, B: usize, C: usize, times: i32): f64 {
  for (let t: i32 = 0; t < times; t++) {
    for (let i: i32 = 0; i < 48; i += TILE_ROWS) {
      scoreTile6(A + <usize>(i * 64 * 4), 64 * 4, B, C + <usize>(i * P * 4), 64);
    }
  }
  return 48.0 * <f64>P * 64.0 * <f64>times;
}

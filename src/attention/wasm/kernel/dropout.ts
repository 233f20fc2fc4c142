/**
 * Dropout of probabilities (Srivastava et al. 2014) from a counter: whether a pair is kept is a function of (seed, batch, head,
 * query, key) alone, so forward, backward, any thread and the float64 definition (src/attention/dropout.ts) agree.
 *
 * A row has two 32-bit keys. A pair's number is a bijection of 32 bits, two rounds of multiply and shift, with one key before the
 * first round, to which the key's column is added as a Weyl sequence, and one between the rounds.
 */
import * as job from './job';
import { T } from './job';
import { P } from './tiles.generated';
import { storePair } from './vector';

const WEYL: i32 = 0x9e3779b9;
const FIRST: i32 = 0x21f0aaad;
const SECOND: i32 = 0xd35a2d97;

function mix(h: i32, x: i32): i32 {
  h ^= x;
  h ^= h >>> 16;
  h *= FIRST;
  h ^= h >>> 15;
  h *= SECOND;
  return h ^ (h >>> 15);
}

function rowKey(at: usize, start: i32, batch: i32, head: i32, query: i32): i32 {
  const h = mix(mix(start, load<i32>(at + job.SEED_LOW)), load<i32>(at + job.SEED_HIGH));
  return mix(mix(mix(h, batch), head), query);
}

/**
 * The two keys of T queries: T words, then T words. They are those from row `row` of the problem on, or those that `order` names, i32
 * [T].
 */
export function dropoutRows(at: usize, batch: i32, head: i32, row: i32, order: usize, keys: usize): void {
  const offset = load<i32>(at + job.QUERY_OFFSET);
  for (let i: i32 = 0; i < T; i++) {
    const query = offset + (order != 0 ? load<i32>(order + <usize>(i * 4)) : row + i);
    store<i32>(keys + <usize>(i * 4), rowKey(at, 0x243f6a88, batch, head, query));
    store<i32>(keys + <usize>((T + i) * 4), rowKey(at, 0x85a308d3, batch, head, query));
  }
}

@inline
function number(x: v128, second: v128): v128 {
  x = v128.xor(x, i32x4.shr_u(x, 16));
  x = i32x4.mul(x, i32x4.splat(FIRST));
  x = v128.xor(v128.xor(x, second), i32x4.shr_u(x, 15));
  x = i32x4.mul(x, i32x4.splat(SECOND));
  return v128.xor(x, i32x4.shr_u(x, 15));
}

/**
 * S [count keys, P queries] times 1 / (1 - rate) where the pair is kept, 0 where it is dropped. `rows`: keys of the P queries. The tile's
 * keys are those from `key` on, or where `order` is not 0 order[key ..], i32.
 */
export function dropTile(at: usize, S: usize, count: i32, key: i32, order: usize, rows: usize): void {
  if (order == 0) {
    dropKeys(at, S, count, key, rows);
    return;
  }
  for (let k: i32 = 0; k < count; k++) {
    dropKeys(at, S, 1, load<i32>(order + <usize>((key + k) * 4)), rows);
    S += <usize>(P * 4);
  }
}

function dropKeys(at: usize, S: usize, count: i32, key: i32, rows: usize): void {
  const threshold = i32x4.splat(load<i32>(at + job.DROP_BELOW));
  const factor = f32x4.splat(load<f32>(at + job.KEEP_FACTOR));
  const end = S + <usize>(count * P * 4);
  const weyl = i32x4.splat(WEYL);
  for (let j: usize = 0; j < <usize>(P * 4); j += 32) {
    const start = i32x4.splat(key * WEYL);
    let x0 = i32x4.add(v128.load(rows + j), start);
    let x1 = i32x4.add(v128.load(rows + j, 16), start);
    const second0 = v128.load(rows + j, T * 4);
    const second1 = v128.load(rows + j, T * 4 + 16);
    for (let s = S + j; s < end; s += <usize>(P * 4)) {
      const keep0 = i32x4.ge_u(number(x0, second0), threshold);
      const keep1 = i32x4.ge_u(number(x1, second1), threshold);
      storePair(s, v128.and(f32x4.mul(v128.load(s), factor), keep0), v128.and(f32x4.mul(v128.load(s, 16), factor), keep1));
      x0 = i32x4.add(x0, weyl);
      x1 = i32x4.add(x1, weyl);
    }
  }
}

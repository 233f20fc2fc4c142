/**
 * Attention weights of one block of T queries of one head, as the values of compressed sparse rows: a number for each allowed
 * pair. Scores come in panels, as in the forward pass. The bits of a key say which queries see it; every query keeps the place of
 * its next number, so its keys stay in their order. Then each row is one run of numbers: where lse is known they become
 * 2^(S - lse); else the row's own maximum and sum come first, and the sink logit joins them.
 *
 * Scratch, in bytes: what rows.ts keeps, Q panels T D 4, S T P 4, next places T 4, a row's lse 16, a stage for rows of queries
 * that are not f32, T D 4.
 */
import * as job from './job';
import { T } from './job';
import { finishRow, headRows, keysSeen, scores } from './forward';
import { readPanels } from './layout';
import { modify } from './modifier';
import { keyReader, openBlocks, readBlock, rowAt, word } from './rows';
import { softcapTile } from './softmax';
import { P } from './tiles.generated';
import { exp2, maxLanes, sumLanes } from './vector';

/** Numbers that are summed in float32 before the sum goes on in float64. */
const STRIP: i32 = 256;

/** log2 units of lse for rows of -Infinity alone: every probability becomes 0. */
const UNSEEN: f32 = 3.0e38;

/** Every key of a full block, for the queries of a panel in `wanted`: column i of S [T, P] becomes a run at next[i]. */
function placeAll(S: usize, next: usize, wanted: i32): void {
  for (let rest = wanted; rest != 0; rest &= rest - 1) {
    const i = <usize>ctz(rest) * 4;
    const to = <usize>load<u32>(next + i);
    let s = S + i;
    for (let k: usize = 0; k < <usize>(T * 4); k += 4) {
      store<f32>(to + k, load<f32>(s));
      s += <usize>(P * 4);
    }
    store<u32>(next + i, <u32>(to + <usize>(T * 4)));
  }
}

/** Of `keys` keys, each for the queries of a panel in `wanted` that its bits name; `bits` are those of the first key. */
function placeSome(S: usize, keys: i32, bits: usize, next: usize, wanted: i32): void {
  for (let k: i32 = 0; k < keys; k++) {
    const seen = P > 8 ? <i32>load<u16>(bits) : <i32>load<u8>(bits);
    for (let rest = seen & wanted; rest != 0; rest &= rest - 1) {
      const i = <usize>ctz(rest) * 4;
      const to = load<u32>(next + i);
      store<f32>(<usize>to, load<f32>(S + i));
      store<u32>(next + i, to + 4);
    }
    S += <usize>(P * 4);
    bits += 8;
  }
}

function greatest(from: usize, count: i32): f32 {
  let x = f32x4.splat(job.LOWEST);
  let i: i32 = 0;
  for (; i + 4 <= count; i += 4) x = f32x4.pmax(x, v128.load(from + <usize>(i * 4)));
  let m = maxLanes(x);
  for (; i < count; i++) {
    const y = load<f32>(from + <usize>(i * 4));
    m = m < y ? y : m;
  }
  return m;
}

/** x = 2^(x - reference); returns the sum. */
function exponentiate(from: usize, count: i32, reference: f32): f64 {
  const m = f32x4.splat(reference);
  let total: f64 = 0;
  let i: i32 = 0;
  while (i + 4 <= count) {
    const end = min(count & ~3, i + STRIP);
    let sum = f32x4.splat(0);
    for (; i < end; i += 4) {
      const at = from + <usize>(i * 4);
      const y = exp2(f32x4.sub(v128.load(at), m));
      v128.store(at, y);
      sum = f32x4.add(sum, y);
    }
    total += <f64>sumLanes(sum);
  }
  for (; i < count; i++) {
    const at = from + <usize>(i * 4);
    const y = f32x4.extract_lane(exp2(f32x4.sub(v128.load32_splat(at), m)), 0);
    store<f32>(at, y);
    total += <f64>y;
  }
  return total;
}

function multiply(from: usize, count: i32, factor: f32): void {
  let i: i32 = 0;
  for (; i + 4 <= count; i += 4) {
    const at = from + <usize>(i * 4);
    v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(factor)));
  }
  for (; i < count; i++) {
    const at = from + <usize>(i * 4);
    store<f32>(at, load<f32>(at) * factor);
  }
}

/** Scores of one row in log2 units become probabilities. `lse` is the address of the row's, 0 where it is not known. */
function normalize(at: usize, head: i32, from: usize, count: i32, lse: usize, scratch: usize): void {
  if (count == 0) return;
  if (lse != 0) {
    const natural = load<f32>(lse);
    exponentiate(from, count, natural == -Infinity ? UNSEEN : <f32>(<f64>natural * 1.4426950408889634));
    return;
  }
  const m = greatest(from, count);
  const sum = exponentiate(from, count, m);
  multiply(from, count, finishRow(at, head, m, <f32>sum, scratch));
}

/** One task: the rows of a query block that FIRST_ROW and END_ROW leave. Tasks: batch, head and query block. */
export function weightsTask(at: usize, scratch: usize, task: i32): void {
  const D = <i32>word(at, job.D);
  const N = <i32>word(at, job.N);
  const H = <i32>word(at, job.H);
  const firstRow = <i32>word(at, job.FIRST_ROW);
  const endRow = <i32>word(at, job.END_ROW);
  const firstBlock = firstRow / T;
  const blocks = (endRow + T - 1) / T - firstBlock;
  const block = firstBlock + task % blocks;
  const head = (task / blocks) % H;
  const batch = task / (blocks * H);
  const entry = word(at, job.WEIGHTS) + <usize>((batch * H + head) * 8);
  const places = <usize>load<u32>(entry);
  if (places == 0) return;
  const values = <usize>load<u32>(entry, 4);
  const group = head / (H / <i32>word(at, job.G));
  const row = block * T;
  const count = min(T, N - row);
  const first = max(firstRow, row);
  const end = min(endRow, row + count);

  openBlocks(at, scratch, batch, group, 0);
  const Q = scratch + word(at, job.BLOCKS_BYTES);
  const S = Q + <usize>(T * D * 4);
  const next = S + <usize>(T * P * 4);
  const ownLse = next + T * 4;
  const stage = ownLse + 16;
  readPanels(
    load<i32>(at + job.Q_TYPE), rowAt(at, job.Q, job.Q_BATCH, batch, head, row), word(at, job.Q_ROW), 0, count, D, Q,
    load<f32>(at + job.FACTOR), stage,
  );
  for (let r = first; r < end; r++) {
    store<u32>(next + <usize>((r - row) * 4), <u32>(values + <usize>(load<u32>(places + <usize>((r - firstRow) * 4)) << 2)));
  }

  const cap = load<f32>(at + job.CAP);
  const parameters = word(at, job.MODIFIER);
  const wholeBatch = load<i32>(at + job.FIRST_BATCH) + batch;
  const wholeHead = load<i32>(at + job.FIRST_HEAD) + head;
  const strideK = <usize>(D * 4);
  const rows = headRows(at, job.MASK, head);
  const endBlock = load<u32>(<usize>load<u32>(rows) + <usize>(block * 4), 4);
  for (let e = load<u32>(<usize>load<u32>(rows) + <usize>(block * 4)); e < endBlock; e++) {
    const column = <i32>load<u32>(<usize>load<u32>(rows, 4) + (<usize>e << 2));
    const bitmap = load<i32>(<usize>load<u32>(rows, 8) + (<usize>e << 2));
    const K = readBlock(keyReader(scratch), column, 0, min(T, <i32>word(at, job.M) - column * T));
    let panel: i32 = 0;
    for (let q: i32 = 0; q < count; q += P) {
      const from = max(first - row - q, 0);
      const to = min(end - row - q, P);
      const seen = keysSeen(word(at, job.RANGES), bitmap, panel * (P / 8), P / 8);
      const firstKey = seen & 0xff;
      const keys = (seen >> 8) - firstKey;
      if (keys > 0 && from < to) {
        const wanted = ((1 << to) - 1) & ~((1 << from) - 1);
        scores(K + <usize>firstKey * strideK, strideK, Q + <usize>(q * D * 4), S, keys, D);
        if (cap != 0) softcapTile(S, keys, cap);
        if (parameters != 0) {
          modify(S, S, keys, column * T + firstKey, row + q, wholeHead, wholeBatch, parameters);
        }
        if (bitmap < 0) {
          placeAll(S, next + <usize>(q * 4), wanted);
        } else {
          const bits = word(at, job.BITMAPS) + <usize>bitmap * job.BITMAP_BYTES + <usize>(firstKey * 8 + panel * (P / 8));
          placeSome(S, keys, bits, next + <usize>(q * 4), wanted);
        }
      }
      panel += 1;
    }
  }

  const lse = word(at, job.LSE);
  for (let r = first; r < end; r++) {
    const place = places + <usize>((r - firstRow) * 4);
    const start = load<u32>(place);
    const known = lse == 0 ? 0 : lse + <usize>(((batch * H + head) * N + r) * 4);
    normalize(at, head, values + <usize>(start << 2), <i32>(load<u32>(place, 4) - start), known, ownLse);
  }
}

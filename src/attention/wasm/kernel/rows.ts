/**
 * Rows of f32, f16 or bf16, with any stride, as contiguous rows of f32; and back.
 *
 * Widening is exact for every number: subnormals, infinities and NaNs stay what they are. Narrowing rounds to the nearest, ties to
 * even; what is too large becomes infinite. SIMD here has no instruction for either, so both are integer operations; loops go over
 * pairs of adjacent vectors, which V8 can merge.
 *
 * Key and value blocks are read through a BlockReader. Rows that are contiguous f32 are read where they lie. Others are copied into
 * the worker's scratch, SLOTS blocks of K and of V, each block in the slot column % SLOTS: query blocks come to a worker in their
 * order and neighbours see almost the same keys, so that a block is widened once and not once for each query block. A slot has a
 * tag of three words: the column, and the rows first .. end - 1 of it that are there. Tags hold for one job, one key/value head and
 * one order of keys.
 *
 * At the start of a worker's scratch, in bytes: two BlockReaders of 64, tags SLOTS 2 12 (rounded up to 64), K blocks SLOTS T D 4,
 * V blocks SLOTS T E 4. BLOCKS_BYTES is the sum, and the kernels' own scratch follows.
 */
import * as job from './job';
import { T } from './job';
import { storePair } from './vector';

@inline
export function word(at: usize, field: usize): usize {
  return load<u32>(at + field);
}

/** Where a row of a tensor lies; `address` and `strides` are the fields of its address and of its batch, head and row strides. */
@inline
export function rowAt(at: usize, address: usize, strides: usize, batch: i32, head: i32, row: i32): usize {
  return (
    word(at, address) + <usize>batch * word(at, strides) + <usize>head * word(at, strides + 4) + <usize>row * word(at, strides + 8)
  );
}

export const F32: i32 = 0;
const F16: i32 = 1;

/**
 * Constants, in memory for the reason given in vector.ts; loops load them once. Of fromHalf(): sign and magnitude, 2^112, 65,536, infinity. Of
 * toHalf(): from the fifth to the eleventh; of toBfloat(): the last two.
 */
const CONSTANTS = memory.data<i32>([
  <i32>0x8fffe000, 0x77800000, 0x47800000, 0x7f800000,
  0x7fffffff, 0x47800000, <i32>0xc8000fff, 0x3f000000, 0x38800000, 0x200, 0x8000,
  0x7fff, 0x40,
], 16);

@inline
function constant(i: usize): v128 {
  return v128.load32_splat(CONSTANTS + (i << 2));
}

/** Sign-extended f16 in four lanes. The factor 2^112 moves the exponent's bias, subnormals included. */
@inline
function fromHalf(x: v128, bits: v128, factor: v128, limit: v128, infinity: v128): v128 {
  const y = f32x4.mul(v128.and(i32x4.shl(x, 13), bits), factor);
  return v128.or(y, v128.and(f32x4.ge(f32x4.abs(y), limit), infinity));
}

/** The 16 bits of f16 in the lower half of each lane. */
@inline
function toHalf(x: v128, magnitude: v128, most: v128, bias: v128, half: v128, least: v128, nan: v128, sign: v128): v128 {
  // From 2^16 on, and NaN, as 2^16, which the carry below makes infinity.
  const a = i32x4.min_s(v128.and(x, magnitude), most);
  const odd = i32x4.shr_u(i32x4.shl(a, 18), 31);
  // The exponent's bias moves by 112; half a unit less one, and one where the number is odd, round in the carry.
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(a, bias), odd), 13);
  // Of 0.5 + a, for a below 2^-14, the last bit is 2^-24, the unit of subnormals.
  const subnormal = i32x4.sub(f32x4.add(a, half), half);
  const y = v128.bitselect(subnormal, normal, i32x4.lt_s(a, least));
  const quiet = v128.and(f32x4.ne(x, x), nan);
  return v128.or(v128.or(y, quiet), v128.and(i32x4.shr_u(x, 16), sign));
}

/** The 16 bits of bf16 in the lower half of each lane. */
@inline
function toBfloat(x: v128, half: v128, nan: v128): v128 {
  const odd = i32x4.shr_u(i32x4.shl(x, 15), 31);
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, half), odd), 16);
  const quiet = v128.or(i32x4.shr_u(x, 16), nan);
  return v128.bitselect(quiet, rounded, f32x4.ne(x, x));
}

/** The first `count` lanes, of 32 bits, 1 to 3 of them: nothing beyond them is written. */
@inline
function storeLanes(to: usize, x: v128, count: i32): void {
  v128.store_lane<f32>(to, x, 0);
  if (count > 1) v128.store_lane<f32>(to, x, 1, 4);
  if (count > 2) v128.store_lane<f32>(to, x, 2, 8);
}

/** Rows that lie far apart cost a wait for memory each: few instructions for each let the processor wait for several at a time. */
function copyNumbers(from: usize, count: i32, to: usize): void {
  for (; count >= 16; count -= 16) {
    const x0 = v128.load(from);
    const x1 = v128.load(from, 16);
    const x2 = v128.load(from, 32);
    const x3 = v128.load(from, 48);
    storePair(to, x0, x1);
    v128.store(to, x3, 48);
    v128.store(to, x2, 32);
    from += 64;
    to += 64;
  }
  for (; count >= 8; count -= 8) {
    const x0 = v128.load(from);
    const x1 = v128.load(from, 16);
    storePair(to, x0, x1);
    from += 32;
    to += 32;
  }
  if (count >= 4) {
    v128.store(to, v128.load(from));
    from += 16;
    to += 16;
  }
  count &= 3;
  if (count > 0) storeLanes(to, v128.load(from), count);
}

function widenHalves(from: usize, count: i32, to: usize): void {
  const c0 = constant(0);
  const c1 = constant(1);
  const c2 = constant(2);
  const c3 = constant(3);
  for (; count >= 8; count -= 8) {
    const x0 = fromHalf(v128.load_ext<i16>(from), c0, c1, c2, c3);
    const x1 = fromHalf(v128.load_ext<i16>(from, 8), c0, c1, c2, c3);
    storePair(to, x0, x1);
    from += 16;
    to += 32;
  }
  if (count >= 4) {
    v128.store(to, fromHalf(v128.load_ext<i16>(from), c0, c1, c2, c3));
    from += 8;
    to += 16;
  }
  count &= 3;
  if (count > 0) storeLanes(to, fromHalf(v128.load_ext<i16>(from), c0, c1, c2, c3), count);
}

function widenBfloats(from: usize, count: i32, to: usize): void {
  for (; count >= 8; count -= 8) {
    const x0 = i32x4.shl(v128.load_ext<u16>(from), 16);
    const x1 = i32x4.shl(v128.load_ext<u16>(from, 8), 16);
    storePair(to, x0, x1);
    from += 16;
    to += 32;
  }
  if (count >= 4) {
    v128.store(to, i32x4.shl(v128.load_ext<u16>(from), 16));
    from += 8;
    to += 16;
  }
  count &= 3;
  if (count > 0) storeLanes(to, i32x4.shl(v128.load_ext<u16>(from), 16), count);
}

function widen(type: i32, from: usize, count: i32, to: usize): void {
  if (type == F32) copyNumbers(from, count, to);
  else if (type == F16) widenHalves(from, count, to);
  else widenBfloats(from, count, to);
}

/** Rows that are read ahead at once. Of rows of 256 bytes 8, and 32, cost an eighth more for each row on Zen 3. */
const AHEAD: i32 = 16;

/** Written, so that what readAhead() reads is of use. */
let lastRead: i32 = 0;

/**
 * Rows of `rowBytes` that `order` names, and that lie far apart, cost a wait for memory each. Before the rows i .. i + AHEAD - 1 of `count`
 * are used one by one, this reads a number of each of their cache lines, so that the processor waits for all of them at once: with few
 * instructions for each line, and without stores in between, which wait in their order. i is a multiple of AHEAD, or nothing happens.
 */
export function readAhead(from: usize, stride: usize, order: usize, i: i32, count: i32, rowBytes: usize): void {
  if ((i & (AHEAD - 1)) != 0) return;
  let any: i32 = 0;
  for (const end = min(i + AHEAD, count); i < end; i++) {
    const row = load<i32>(order + <usize>(i * 4));
    if (row < 0) continue;
    const at = from + <usize>row * stride;
    let b: usize = 0;
    for (; b + 256 <= rowBytes; b += 256) {
      any |= load<i32>(at + b) | load<i32>(at + b, 64) | load<i32>(at + b, 128) | load<i32>(at + b, 192);
    }
    for (; b < rowBytes; b += 64) any |= load<u8>(at + b);
  }
  lastRead = any;
}

/**
 * Rows [count, width] of a type, `stride` bytes apart, become contiguous f32 at `to`; nothing beyond them is written. Where `order`
 * is not 0, it says which rows, i32 [count], -1 for a row of zeros.
 */
export function widenRows(type: i32, from: usize, stride: usize, order: usize, count: i32, width: i32, to: usize): void {
  if (order == 0 && stride == <usize>width << (type == F32 ? 2 : 1)) {
    widen(type, from, count * width, to);
    return;
  }
  const rowBytes = <usize>(width * 4);
  for (let i: i32 = 0; i < count; i++) {
    if (order != 0) readAhead(from, stride, order, i, count, type == F32 ? rowBytes : rowBytes >> 1);
    const row = order == 0 ? i : load<i32>(order + <usize>(i * 4));
    if (row >= 0) widen(type, from + <usize>row * stride, width, to);
    else memory.fill(to, 0, rowBytes);
    to += rowBytes;
  }
}

/** Numbers become their 16 bits, each in the place of 32 that it had. */
function roundHalves(at: usize, count: i32): void {
  const c0 = constant(4);
  const c1 = constant(5);
  const c2 = constant(6);
  const c3 = constant(7);
  const c4 = constant(8);
  const c5 = constant(9);
  const c6 = constant(10);
  for (; count >= 8; count -= 8) {
    const x0 = toHalf(v128.load(at), c0, c1, c2, c3, c4, c5, c6);
    const x1 = toHalf(v128.load(at, 16), c0, c1, c2, c3, c4, c5, c6);
    storePair(at, x0, x1);
    at += 32;
  }
  if (count >= 4) {
    v128.store(at, toHalf(v128.load(at), c0, c1, c2, c3, c4, c5, c6));
    at += 16;
  }
  count &= 3;
  if (count > 0) storeLanes(at, toHalf(v128.load(at), c0, c1, c2, c3, c4, c5, c6), count);
}

function roundBfloats(at: usize, count: i32): void {
  const half = constant(11);
  const nan = constant(12);
  for (; count >= 8; count -= 8) {
    const x0 = toBfloat(v128.load(at), half, nan);
    const x1 = toBfloat(v128.load(at, 16), half, nan);
    storePair(at, x0, x1);
    at += 32;
  }
  if (count >= 4) {
    v128.store(at, toBfloat(v128.load(at), half, nan));
    at += 16;
  }
  count &= 3;
  if (count > 0) storeLanes(at, toBfloat(v128.load(at), half, nan), count);
}

/** The lower halves of `count` words, side by side. */
function pack(from: usize, count: i32, to: usize): void {
  for (; count >= 8; count -= 8) {
    v128.store(to, i16x8.narrow_i32x4_u(v128.load(from), v128.load(from, 16)));
    from += 32;
    to += 16;
  }
  for (; count > 0; count--) {
    store<u16>(to, load<u16>(from));
    from += 4;
    to += 2;
  }
}

/** Contiguous rows [count, width] of f32 become rows of a type, `stride` bytes apart. What lies at `from` is lost. */
export function narrowRows(type: i32, from: usize, count: i32, width: i32, to: usize, stride: usize): void {
  if (type == F16) roundHalves(from, count * width);
  else if (type != F32) roundBfloats(from, count * width);
  for (let i: i32 = 0; i < count; i++) {
    if (type == F32) copyNumbers(from, width, to);
    else pack(from, width, to);
    from += <usize>(width * 4);
    to += stride;
  }
}

/** Keys or values of one key/value head, by blocks of T rows. */
@unmanaged
export class BlockReader {
  base: usize;
  /** Bytes from row to row, and from block to block. */
  row: usize;
  block: usize;
  type: i32;
  width: i32;
  /** Which rows the blocks have, i32 [blocks, T], -1 for a row of zeros; 0: as they come. */
  order: usize;
  /** 0 where rows are read in place. */
  slots: i32;
  tags: usize;
  blocks: usize;
}

const READER_BYTES: usize = 64;
const TAG_BYTES: usize = 12;

@inline
export function keyReader(scratch: usize): BlockReader {
  return changetype<BlockReader>(scratch);
}

@inline
export function valueReader(scratch: usize): BlockReader {
  return changetype<BlockReader>(scratch + READER_BYTES);
}

/** What the tags hold for. Module variables: each worker has an instance of its own. */
let openJob: i32 = 0;
let openGroup: i32 = -1;
let openOrder: usize = 0;

/** `field` is K or V of the job. */
function open(
  reader: BlockReader, at: usize, field: usize, type: i32, width: i32, batch: i32, group: i32, order: usize, tags: usize, blocks: usize,
): void {
  reader.base =
    <usize>load<u32>(at + field) + <usize>batch * <usize>load<u32>(at + field, 4) + <usize>group * <usize>load<u32>(at + field, 8);
  reader.row = <usize>load<u32>(at + field, 12);
  reader.block = <usize>load<u32>(at + field, 16);
  reader.type = type;
  reader.width = width;
  reader.order = order;
  reader.slots = order == 0 && type == F32 && reader.row == <usize>(width * 4) ? 0 : load<i32>(at + job.SLOTS);
  reader.tags = tags;
  reader.blocks = blocks;
}

/** Makes both readers, at the start of the scratch, those of a key/value head; `order` as in BlockReader. */
export function openBlocks(at: usize, scratch: usize, batch: i32, group: i32, order: usize): void {
  const D = load<i32>(at + job.D);
  const slots = load<i32>(at + job.SLOTS);
  const whole = batch * load<i32>(at + job.G) + group;
  if (load<i32>(at + job.SERIAL) == openJob && whole == openGroup && order == openOrder) return;
  openJob = load<i32>(at + job.SERIAL);
  openGroup = whole;
  openOrder = order;
  const tags = scratch + 2 * READER_BYTES;
  const tagBytes = (<usize>slots * 2 * TAG_BYTES + 63) & ~63;
  const keys = tags + tagBytes;
  const values = keys + <usize>(slots * T * D * 4);
  open(keyReader(scratch), at, job.K, load<i32>(at + job.K_TYPE), D, batch, group, order, tags, keys);
  open(
    valueReader(scratch), at, job.V, load<i32>(at + job.V_TYPE), load<i32>(at + job.E), batch, group, order,
    tags + <usize>slots * TAG_BYTES, values,
  );
  memory.fill(tags, 0xff, tagBytes);
}

/** Copies the rows first .. end - 1 of a block to `to`, the place of its row 0. */
function copyRows(reader: BlockReader, column: i32, first: i32, end: i32, to: usize): void {
  const row = <usize>first * reader.row;
  const from = reader.order == 0 ? reader.base + <usize>column * reader.block + row : reader.base;
  const order = reader.order == 0 ? 0 : reader.order + <usize>((column * T + first) * 4);
  widenRows(reader.type, from, reader.row, order, end - first, reader.width, to + <usize>(first * reader.width * 4));
}

/** The address of row 0 of a block whose rows first .. end - 1 are wanted, as contiguous rows of f32. */
export function readBlock(reader: BlockReader, column: i32, first: i32, end: i32): usize {
  if (reader.slots == 0) return reader.base + <usize>column * reader.block;
  const slot = column % reader.slots;
  const tag = reader.tags + <usize>slot * TAG_BYTES;
  const to = reader.blocks + <usize>(slot * T * reader.width * 4);
  if (load<i32>(tag) != column) {
    store<i32>(tag, column);
    store<i32>(tag, first, 4);
    store<i32>(tag, first, 8);
  }
  const known = load<i32>(tag, 4);
  if (first < known) {
    copyRows(reader, column, first, known, to);
    store<i32>(tag, first, 4);
  }
  const knownEnd = load<i32>(tag, 8);
  if (end > knownEnd) {
    copyRows(reader, column, knownEnd, end, to);
    store<i32>(tag, end, 8);
  }
  return to;
}

/** Converts a block of T rows of a head: contiguous f32 at Q becomes O, or contiguous rows of 16 bits at Q become contiguous f32 at O. */
export function roundBlock(at: usize, batch: i32, head: i32, block: i32): void {
  const E = load<i32>(at + job.E);
  const row = block * T;
  const count = min(T, load<i32>(at + job.N) - row);
  const from = rowAt(at, job.Q, job.Q_BATCH, batch, head, row);
  const to = rowAt(at, job.O, job.O_BATCH, batch, head, row);
  const type = load<i32>(at + job.Q_TYPE);
  if (type != F32) widen(type, from, count * E, to);
  else narrowRows(load<i32>(at + job.O_TYPE), from, count, E, to, word(at, job.O_ROW));
}

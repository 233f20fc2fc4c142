/**
 * The description of one attention call, in shared memory: 32-bit words at the address `job`. src/attention/wasm/job.ts
 * writes it; the two lists must agree. Strides and pointers are in bytes.
 */
export const NEXT_TASK: usize = 0 * 4;
export const TASKS: usize = 1 * 4;
export const CANCELLED: usize = 2 * 4;
export const H: usize = 3 * 4;
export const G: usize = 4 * 4;
export const N: usize = 5 * 4;
export const D: usize = 6 * 4;
export const E: usize = 7 * 4;
export const Q: usize = 9 * 4;
export const Q_BATCH: usize = 10 * 4;
export const Q_HEAD: usize = 11 * 4;
export const Q_ROW: usize = 12 * 4;
export const K: usize = 13 * 4;
export const K_BATCH: usize = 14 * 4;
export const K_HEAD: usize = 15 * 4;
export const K_ROW: usize = 16 * 4;
export const K_BLOCK: usize = 17 * 4;
export const V: usize = 18 * 4;
export const V_BATCH: usize = 19 * 4;
export const V_HEAD: usize = 20 * 4;
export const V_ROW: usize = 21 * 4;
export const V_BLOCK: usize = 22 * 4;
export const O: usize = 23 * 4;
export const O_BATCH: usize = 24 * 4;
export const O_HEAD: usize = 25 * 4;
export const O_ROW: usize = 26 * 4;
export const LSE: usize = 27 * 4;
/** Factor on q . k: scale log2(e); scale / softcap where there is a cap; scale where there is a modifier. */
export const FACTOR: usize = 28 * 4;
/** softcap log2(e), or 0. */
export const CAP: usize = 29 * 4;
/** Sink logits [H], or 0. */
export const SINK_LOGITS: usize = 30 * 4;
/**
 * Part of a mask: the table of heads, u32 [H], each the address of seven addresses: rowStart, column (where a key block lies),
 * bitmap, and key block (which one it is, other than `column` where keys lie in pages); then, 0 where blocks are in natural order:
 * the query row and the key that each row and column of the blocks stands for, i32, -1 for none, and for each key its column.
 */
export const MASK: usize = 31 * 4;
/** Bitmaps with one row of T query bits for each key. */
export const BITMAPS: usize = 32 * 4;
/** For each bitmap and each group of 8 queries, two bytes: the first key that one of them sees, and the key after the last. */
export const RANGES: usize = 33 * 4;
/** A second part: other queries (0: none) with a mask of their own, in the same softmax. */
export const SECOND_Q: usize = 34 * 4;
export const SECOND_MASK: usize = 35 * 4;
export const SECOND_BITMAPS: usize = 36 * 4;
export const SECOND_RANGES: usize = 37 * 4;
/** 0: forward; 1: backward; 2: the sum of the backward's segments; 3: attention weights; 4: rounding. */
export const KIND: usize = 38 * 4;
/** Gradient of the output. */
export const GRAD_O: usize = 39 * 4;
/** For each query, sum(grad_output output) - grad_lse [B, H, N]. */
export const DELTA: usize = 40 * 4;
/** Gradients of queries, keys and values. */
export const GRAD_Q: usize = 41 * 4;
export const GRAD_K: usize = 42 * 4;
export const GRAD_V: usize = 43 * 4;
/**
 * Segments of the backward: for each of them SEGMENT_WORDS words: batch, group, first query block, end; the address of the
 * slot of each key block (as the order of keys has them), i32, -1 for a block that its mask does not touch; the number of slots; the addresses of its gradient
 * of the keys [slots, T, D rounded up to P] and of the values [slots, T, E rounded up to P]; the address of the addresses of
 * its gradients of the modifier's parameters, float64; its first query head, and the end. Its heads share their order of keys.
 */
export const SEGMENTS: usize = 44 * 4;
export const SEGMENT_COUNT: usize = 45 * 4;
export const SEGMENT_WORDS: i32 = 11;
/**
 * Attention weights, in the place of the backward pass's words: for each batch entry and head two words, the addresses of its rows'
 * places (u32, in numbers; one more than there are rows; 0: not of this job) and of its values. The rows FIRST_ROW .. END_ROW - 1.
 */
export const WEIGHTS: usize = 39 * 4;
export const FIRST_ROW: usize = 40 * 4;
export const END_ROW: usize = 41 * 4;
/** M, number of keys, and number of key blocks. */
export const M: usize = 46 * 4;
/** scale: a score is scale q . k before the soft cap. */
export const SCALE: usize = 47 * 4;
/** The block of parameters of the score modifier, 0 where there is none: queryOffset, then for each its address and axes. */
export const MODIFIER: usize = 48 * 4;
/** The part's first batch entry and head in the whole problem, and the absolute position of query row 0. */
export const FIRST_BATCH: usize = 49 * 4;
export const FIRST_HEAD: usize = 50 * 4;
export const QUERY_OFFSET: usize = 51 * 4;
/** Dropout: pairs with a number below this are dropped, 0 for none; 1 / (1 - rate); the seed's halves. */
export const DROP_BELOW: usize = 52 * 4;
export const KEEP_FACTOR: usize = 53 * 4;
export const SEED_LOW: usize = 54 * 4;
export const SEED_HIGH: usize = 55 * 4;
/** Blocks of queries that each head's mask has, in the order of its own. */
export const QUERY_BLOCKS: usize = 56 * 4;
/**
 * 0: the job has all pairs; 1: it is the first of several passes over pairs of their own; 2: it continues from those before.
 * Passes have their results in f32.
 */
export const PASS: usize = 57 * 4;
/** How tensors are stored: F32, F16 or BF16 of rows.ts. */
export const Q_TYPE: usize = 58 * 4;
export const K_TYPE: usize = 59 * 4;
export const V_TYPE: usize = 60 * 4;
export const O_TYPE: usize = 61 * 4;
/** A number that no other job has; blocks of keys that a worker holds copies of, at most; bytes of all that rows.ts keeps. */
export const SERIAL: usize = 62 * 4;
export const SLOTS: usize = 63 * 4;
export const BLOCKS_BYTES: usize = 64 * 4;
/** Strides and type of the gradient of the output, of queries, keys and values. */
export const GRAD_O_BATCH: usize = 65 * 4;
export const GRAD_O_ROW: usize = 67 * 4;
export const GRAD_O_TYPE: usize = 68 * 4;
export const GRAD_Q_BATCH: usize = 69 * 4;
export const GRAD_Q_ROW: usize = 71 * 4;
export const GRAD_Q_TYPE: usize = 72 * 4;
export const GRAD_K_BATCH: usize = 73 * 4;
export const GRAD_K_ROW: usize = 75 * 4;
export const GRAD_K_TYPE: usize = 76 * 4;
export const GRAD_V_BATCH: usize = 77 * 4;
export const GRAD_V_ROW: usize = 79 * 4;
export const GRAD_V_TYPE: usize = 80 * 4;
/** Neighbouring blocks of queries that are one task of the forward pass. */
export const BLOCKS_PER_TASK: usize = 81 * 4;
/**
 * Whether the backward's gradients of keys and values go to where they belong at once, because no two query blocks of a head see the same
 * key block: 0: they do not, 1: written, by the first head of a segment, 2: added.
 */
export const DIRECT: usize = 82 * 4;

/** Passes over the same queries run as one: the address of the next one's job, 0 for none; and of how many tasks of each head are done, i32 [B H]. */
export const LATER: usize = 83 * 4;
export const DONE: usize = 84 * 4;

/** T, the side of a block. */
export const T: i32 = 64;
/** T^2 / 8 bytes. */
export const BITMAP_BYTES: usize = 512;
export const RANGE_BYTES: usize = 16;
/** Bytes of lines that scratch begins with: MAXIMUM_LINES of LINE_BYTES (src/attention/wasm/score/plan.ts). */
export const LINES: usize = 16 * 4 * (64 + 16);
/** Start of every running maximum: below any score, yet finite, so that no difference is NaN. */
export const LOWEST: f32 = -3.0e38;

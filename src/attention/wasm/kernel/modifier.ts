/**
 * Functions that a kernel instance imports from the module of a score expression (src/attention/wasm/score/compile.ts). The plain
 * instance gets stand-ins, which it never calls.
 */

/**
 * Scores at `from` [count keys, P queries] become modified ones, in units of log2, at `to` (which may be `from`). `key` is the
 * column of the first key, `row` the row of the first query; `parameters` the block that the job points at; `lines` is scratch.
 */
@external('modifier', 'modify')
declare function modifyTile(
  from: usize, to: usize, count: i32, key: i32, row: i32, head: i32, batch: i32, parameters: usize, lines: usize,
): void;

/**
 * The gradient of modified scores at `gradient` becomes that of the scores, which lie at `scores`; the gradients of parameters are
 * added to float64 numbers at the addresses that `gradients` lists.
 */
@external('modifier', 'differentiate')
declare function differentiateTile(
  scores: usize, gradient: usize, count: i32, key: i32, row: i32, head: i32, batch: i32, parameters: usize, lines: usize,
  gradients: usize,
): void;

/** LINES bytes of this thread's scratch, for what the functions compute once for each distance in a tile. */
let lines: usize = 0;

export function setLines(address: usize): void {
  lines = address;
}

export function modify(
  from: usize, to: usize, count: i32, key: i32, row: i32, head: i32, batch: i32, parameters: usize,
): void {
  modifyTile(from, to, count, key, row, head, batch, parameters, lines);
}

export function differentiate(
  scores: usize, gradient: usize, count: i32, key: i32, row: i32, head: i32, batch: i32, parameters: usize, gradients: usize,
): void {
  differentiateTile(scores, gradient, count, key, row, head, batch, parameters, lines, gradients);
}

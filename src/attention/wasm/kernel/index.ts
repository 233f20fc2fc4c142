/** What a worker calls. See ./README.md for the three builds. */
import * as job from './job';
import { T } from './job';
import { backwardSegment, sumSegments } from './backward';
import { decodeBlock } from './decode';
import { forwardBlock } from './forward';
import { setLines } from './modifier';
import { roundBlock, word } from './rows';
import { weightsTask } from './weights';

export { exp, log, tanh } from './functions';

/** At most this many queries in a block go one by one, where scores are not modified, nothing is dropped and the job has all pairs. */
const FEW_QUERIES: i32 = 4;

function runTask(at: usize, scratch: usize, task: i32): void {
  const kind = load<i32>(at + job.KIND);
  if (kind == 1) {
    backwardSegment(at, scratch, task);
    return;
  }
  if (kind == 3) {
    weightsTask(at, scratch, task);
    return;
  }
  const isSum = kind == 2;
  const heads = isSum ? load<i32>(at + job.G) : load<i32>(at + job.H);
  const blocks = !isSum ? load<i32>(at + job.QUERY_BLOCKS) : (load<i32>(at + job.M) + T - 1) / T;
  const each = isSum ? 1 : load<i32>(at + job.BLOCKS_PER_TASK);
  const tasks = (blocks + each - 1) / each;
  const first = (task % tasks) * each;
  const head = (task / tasks) % heads;
  const batch = task / (tasks * heads);
  for (let block = first; block < min(first + each, blocks); block++) runBlock(at, scratch, kind, batch, head, block);
}

function runBlock(at: usize, scratch: usize, kind: i32, batch: i32, head: i32, block: i32): void {
  const changed = load<i32>(at + job.MODIFIER) != 0 || load<i32>(at + job.DROP_BELOW) != 0 || load<i32>(at + job.PASS) != 0;
  if (kind == 2) sumSegments(at, scratch, batch, head, block);
  else if (kind == 4) roundBlock(at, batch, head, block);
  else if (min(T, load<i32>(at + job.N) - block * T) <= FEW_QUERIES && !changed) decodeBlock(at, scratch, batch, head, block);
  else forwardBlock(at, scratch, batch, head, block);
}

/** In the place of a job's address: no task is left; or another thread must first finish what those that are left need. */
const NONE: usize = 0;
const WAIT: usize = 1;

/** The task that take() has found. */
let taken: i32 = 0;

/** Tasks of one head of one batch entry. */
@inline
function tasksOfHead(at: usize): i32 {
  const each = load<i32>(at + job.BLOCKS_PER_TASK);
  return (load<i32>(at + job.QUERY_BLOCKS) + each - 1) / each;
}

/**
 * Takes a task of the job or of the passes after it: of the last pass whose head is done in the pass before, so that the head's rows are
 * still in the caches. `before` is the pass before this one, or 0. Returns the job of the task.
 */
function take(at: usize, before: usize): usize {
  let found = NONE;
  const later = word(at, job.LATER);
  if (later != 0) {
    found = take(later, at);
    if (found > WAIT) return found;
  }
  const tasks = load<i32>(at + job.TASKS);
  let task = atomic.load<i32>(at + job.NEXT_TASK);
  while (task < tasks) {
    if (before != 0) {
      const done = word(before, job.DONE) + <usize>(task / tasksOfHead(at) * 4);
      if (atomic.load<i32>(done) < tasksOfHead(before)) return WAIT;
    }
    const next = atomic.cmpxchg<i32>(at + job.NEXT_TASK, task, task + 1);
    if (next == task) {
      taken = task;
      return at;
    }
    task = next;
  }
  return found;
}

/**
 * Takes at most `most` tasks of the job and of the passes after it: (batch, head, query block) forward, segments backward. Returns 1 if
 * there may be more, 2 if there are but other threads must first finish theirs, 0 when none is left or the job is cancelled.
 */
export function work(at: usize, scratch: usize, most: i32): i32 {
  setLines(scratch);
  for (; most > 0; most--) {
    if (atomic.load<i32>(at + job.CANCELLED) != 0) return 0;
    const own = take(at, 0);
    if (own == NONE) return 0;
    if (own == WAIT) return 2;
    const task = taken;
    runTask(own, scratch + job.LINES, task);
    const done = word(own, job.DONE);
    if (done != 0) atomic.add<i32>(done + <usize>(task / tasksOfHead(own) * 4), 1);
  }
  return 1;
}

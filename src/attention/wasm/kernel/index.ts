/** What a worker calls. See ./README.md for the three builds. */
import * as job from './job';
import { T } from './job';
import { backwardSegment, sumSegments } from './backward';
import { decodeBlock } from './decode';
import { forwardBlock } from './forward';
import { setLines } from './modifier';
import { roundBlock } from './rows';
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

/**
 * Takes at most `most` tasks from the job's counter: (batch, head, query block) forward, segments backward. Returns 1 if there
 * may be more, 0 when none is left or the job is cancelled.
 */
export function work(at: usize, scratch: usize, most: i32): i32 {
  const tasks = load<i32>(at + job.TASKS);
  setLines(scratch);
  for (; most > 0; most--) {
    if (atomic.load<i32>(at + job.CANCELLED) != 0) return 0;
    const task = atomic.add<i32>(at + job.NEXT_TASK, 1);
    if (task >= tasks) return 0;
    runTask(at, scratch + job.LINES, task);
  }
  return 1;
}

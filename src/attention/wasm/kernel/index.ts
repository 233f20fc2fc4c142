/** What a worker calls. See ./README.md for the three builds. */
import * as job from './job';
import { T } from './job';
import { decodeBlock } from './decode';
import { forwardBlock } from './forward';

/** At most this many queries in a block go one by one. */
const FEW_QUERIES: i32 = 4;

/**
 * Takes at most `most` tasks (batch, head, query block) from the job's counter. Returns 1 if there may be more, 0 when none is
 * left or the job is cancelled.
 */
export function work(at: usize, scratch: usize, most: i32): i32 {
  const tasks = load<i32>(at + job.TASKS);
  const H = load<i32>(at + job.H);
  const N = load<i32>(at + job.N);
  const blocks = load<i32>(at + job.QUERY_BLOCKS);
  for (; most > 0; most--) {
    if (atomic.load<i32>(at + job.CANCELLED) != 0) return 0;
    const task = atomic.add<i32>(at + job.NEXT_TASK, 1);
    if (task >= tasks) return 0;
    const block = task % blocks;
    const head = (task / blocks) % H;
    const batch = task / (blocks * H);
    if (min(T, N - block * T) <= FEW_QUERIES) decodeBlock(at, scratch, batch, head, block);
    else forwardBlock(at, scratch, batch, head, block);
  }
  return 1;
}

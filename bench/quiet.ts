/** Whether a machine is quiet enough to be timed on. */
import { cpus } from 'node:os';

export interface Idleness {
  /** Share of one processor that this process used while it had nothing to do; above 0 where threads spin. */
  readonly own: number;
  /** Share of all processors that were busy meanwhile, with whatever. */
  readonly machine: number;
}

/** What is swept up after a run (garbage, freed pages) ends within this; threads that spin do not. */
const SETTLE = 250;

/** Does nothing for a while and looks who is busy. */
export async function measureIdleness(milliseconds = 250): Promise<Idleness> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE));
  const [before, ownBefore, start] = [processorTimes(), process.cpuUsage(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  const after = processorTimes();
  const { user, system } = process.cpuUsage(ownBefore);
  const total = after.total - before.total;
  return {
    own: (user + system) / 1000 / (performance.now() - start),
    machine: total > 0 ? 1 - (after.idle - before.idle) / total : 0,
  };
}

function processorTimes(): { idle: number; total: number } {
  let [idle, total] = [0, 0];
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.user + times.nice + times.sys + times.idle + times.irq;
  }
  return { idle, total };
}

/** Above this share of busy processors times are not worth noting down. */
const QUIET = 0.1;

/** A warning for a person; undefined where all is quiet. */
export function noiseWarning({ machine }: Idleness): string | undefined {
  if (machine < QUIET) return undefined;
  return `other programs keep ${Math.round(100 * machine)}% of this machine's processors busy: take these times for nothing`;
}

import { counted } from '../../counted.ts';
import { formatBytes } from '../format.ts';
import type { AttentionEngine, DenseEngine, Failure } from './engines.ts';
import type { Memory, Processor } from './processor.ts';
import type { WebAssemblyFeatures } from './webassembly.ts';

export interface Machine {
  readonly processor: Processor;
  readonly memory: Memory;
  readonly webassembly: WebAssemblyFeatures;
  readonly float16Array: boolean;
  readonly attention: AttentionEngine | Failure;
  readonly onnxruntime: DenseEngine | Failure;
}

/** One thing that Farfield decides on this machine. */
export interface Choice {
  readonly what: string;
  readonly uses: string;
  readonly because: string;
}

/** What Farfield uses on a machine, and why, in words for the person who owns it. */
export function chooseFor(machine: Machine): Choice[] {
  return [attention(machine), merge(machine), threads(machine), dense(machine), sharing(machine), memory(machine)];
}

function attention({ attention, webassembly }: Machine): Choice {
  const what = 'attention';
  if ('failure' in attention) return { what, uses: 'only the slow reference', because: attention.failure };
  const { build } = attention;
  if (build === 'baseline') {
    const because = webassembly.relaxedSimd ? 'it was the fastest just now' : 'relaxed SIMD needs Node 22 or newer';
    return { what, uses: 'the baseline kernel', because };
  }
  return {
    what,
    uses: `the ${build} kernel`,
    because:
      build === 'merged'
        ? 'fused multiply-add in 256-bit vectors, the fastest when timed just now'
        : 'fused multiply-add in 128-bit vectors',
  };
}

function merge({ attention, webassembly, processor }: Machine): Choice {
  const what = '256-bit merge';
  const { mergeFlag, relaxedSimd } = webassembly;
  if ('build' in attention && attention.build === 'merged') {
    return { what, uses: 'yes', because: `V8 takes --${mergeFlag} while the kernels are compiled` };
  }
  if (!relaxedSimd || mergeFlag === null) {
    return { what, uses: 'no', because: 'this V8 has no flag for it; Node 24 and newer have one' };
  }
  if (processor.architecture !== 'x64') {
    return { what, uses: 'no', because: `V8 merges on x64 only; this is ${processor.architecture}` };
  }
  return { what, uses: 'no', because: 'the kernel without it was faster when both were timed just now' };
}

function threads({ attention, webassembly, processor }: Machine): Choice {
  const what = 'threads';
  if ('failure' in attention) return { what, uses: '1', because: 'the kernels do not run' };
  const uses = `${attention.threads}`;
  if (!webassembly.threads) return { what, uses, because: 'there is no shared WebAssembly memory here' };
  const { usable, processors } = processor;
  return usable < processors
    ? { what, uses, because: `this process may use ${usable} of ${counted(processors, 'processor')}` }
    : { what, uses, because: 'one for each processor' };
}

function dense({ onnxruntime }: Machine): Choice {
  const what = 'the rest of a model';
  return 'failure' in onnxruntime
    ? { what, uses: 'nothing, so no model runs', because: onnxruntime.failure }
    : { what, uses: `onnxruntime-node ${onnxruntime.version}`, because: 'its native kernels run the dense layers' };
}

function sharing({ onnxruntime }: Machine): Choice {
  const what = 'between the two';
  if ('failure' in onnxruntime) return { what, uses: 'nothing', because: 'onnxruntime-node does not load' };
  return onnxruntime.sharedMemoryTensors
    ? { what, uses: 'shared memory', because: 'onnxruntime-node reads and writes it in place here' }
    : { what, uses: 'one copy each way', because: 'onnxruntime-node refuses shared memory on this Node' };
}

function memory({ memory: { availableBytes, limitBytes }, webassembly }: Machine): Choice {
  const bound = limitBytes === null ? '' : `, inside the container's limit of ${formatBytes(limitBytes)}`;
  return {
    what: 'memory',
    uses: `up to ${formatBytes(availableBytes)}`,
    because: `that is free now${bound}; the kernels see ${formatBytes(webassembly.largestMemoryBytes)} of it at a time`,
  };
}

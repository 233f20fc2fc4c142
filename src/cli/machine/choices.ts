import { formatBytes } from '../format.ts';
import type { OnnxRuntime } from './onnxruntime.ts';
import type { Memory, Processor } from './processor.ts';
import type { WebAssemblyFeatures } from './webassembly.ts';

export interface Machine {
  readonly processor: Processor;
  readonly memory: Memory;
  readonly webassembly: WebAssemblyFeatures;
  readonly float16Array: boolean;
  readonly onnxruntime: OnnxRuntime | { readonly failure: string };
}

/** One thing that Farfield decides on this machine. */
export interface Choice {
  readonly what: string;
  readonly uses: string;
  readonly because: string;
}

/** What Farfield uses on a machine, and why, in words for the person who owns it. */
export function chooseFor(machine: Machine): Choice[] {
  return [attention(machine), merge(machine), threads(machine), sharing(machine), memory(machine), dense(machine)];
}

function attention({ webassembly }: Machine): Choice {
  const what = 'attention';
  if (!webassembly.simd) {
    return { what, uses: 'the reference in plain TypeScript, which is slow', because: 'WebAssembly has no SIMD here' };
  }
  return webassembly.relaxedSimd
    ? { what, uses: 'the relaxed SIMD kernel', because: 'it multiplies and adds in one instruction' }
    : { what, uses: 'the baseline SIMD kernel', because: 'relaxed SIMD needs Node 22 or newer' };
}

function merge({ webassembly, processor }: Machine): Choice {
  const what = '256-bit merge';
  const { mergeFlag, relaxedSimd } = webassembly;
  if (!relaxedSimd || mergeFlag === null) {
    return { what, uses: 'no', because: 'this V8 has no flag for it; Node 24 and newer have one' };
  }
  if (processor.architecture !== 'x64') {
    return { what, uses: 'no', because: `V8 merges for x64 only; this is ${processor.architecture}` };
  }
  if (processor.vectors !== null && !processor.vectors.includes('AVX2')) {
    return { what, uses: 'no', because: 'the processor has no AVX2' };
  }
  const unsure = processor.vectors === null ? ', and has an effect where the processor has AVX2' : '';
  return {
    what,
    uses: 'yes, while the kernels are compiled',
    because: `V8 knows --${mergeFlag}${unsure}; the faster of a narrow and a wide kernel is kept`,
  };
}

function threads({ webassembly, processor }: Machine): Choice {
  const what = 'threads';
  if (!webassembly.threads) return { what, uses: '1', because: 'there is no shared WebAssembly memory here' };
  const { usable, processors } = processor;
  return usable < processors
    ? { what, uses: `${usable}`, because: `this process may use ${usable} of ${processors} processors` }
    : { what, uses: `${usable}`, because: 'one for each processor' };
}

function dense({ onnxruntime }: Machine): Choice {
  const what = 'the rest of a model';
  return 'failure' in onnxruntime
    ? { what, uses: 'nothing: models cannot run', because: `onnxruntime-node does not load: ${onnxruntime.failure}` }
    : { what, uses: `onnxruntime-node ${onnxruntime.version}`, because: 'dense layers run on its native kernels' };
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

import { describe, expect, it } from 'vitest';
import { chooseFor, type Machine } from './choices.ts';

const newMachine: Machine = {
  processor: { model: 'A', architecture: 'x64', processors: 8, usable: 8, vectors: ['AVX2'] },
  memory: { totalBytes: 2 ** 34, availableBytes: 2 ** 33, limitBytes: null },
  webassembly: {
    simd: true,
    relaxedSimd: true,
    threads: true,
    mergeFlag: 'wasm-revectorize',
    largestMemoryBytes: 2 ** 32,
  },
  float16Array: true,
  attention: { build: 'merged', threads: 8 },
  onnxruntime: { version: '1.30.0', sharedMemoryTensors: true },
};

function uses(machine: Machine): Record<string, string> {
  return Object.fromEntries(chooseFor(machine).map(({ what, uses, because }) => [what, `${uses}: ${because}`]));
}

describe('what Farfield uses', () => {
  it('is everything where everything is there', () => {
    expect(uses(newMachine)).toMatchObject({
      attention: expect.stringMatching(/^the merged kernel/),
      '256-bit merge': 'yes: V8 takes --wasm-revectorize while the kernels are compiled',
      threads: '8: one for each processor',
      'between the two': expect.stringMatching(/^shared memory/),
      memory: expect.stringMatching(/^up to 8 GiB/),
    });
  });

  it('is told with its reason on Node 20', () => {
    const machine: Machine = {
      ...newMachine,
      webassembly: { ...newMachine.webassembly, relaxedSimd: false, mergeFlag: null },
      attention: { build: 'baseline', threads: 8 },
      onnxruntime: { version: '1.30.0', sharedMemoryTensors: false },
    };
    expect(uses(machine)).toMatchObject({
      attention: 'the baseline kernel: relaxed SIMD needs Node 22 or newer',
      '256-bit merge': 'no: this V8 has no flag for it; Node 24 and newer have one',
      'between the two': expect.stringMatching(/^one copy each way/),
    });
  });

  it('is told with its reason on another processor, in a container', () => {
    const machine: Machine = {
      ...newMachine,
      processor: { ...newMachine.processor, architecture: 'arm64', usable: 2 },
      memory: { ...newMachine.memory, limitBytes: 2 ** 32 },
      attention: { build: 'relaxed', threads: 2 },
    };
    expect(uses(machine)).toMatchObject({
      '256-bit merge': 'no: V8 merges on x64 only; this is arm64',
      threads: '2: this process may use 2 of 8 processors',
      memory: expect.stringContaining("inside the container's limit of 4 GiB"),
    });
  });

  it('is told where an engine does not start', () => {
    const machine: Machine = { ...newMachine, attention: { failure: 'no SIMD' }, onnxruntime: { failure: 'no build' } };
    expect(uses(machine)).toMatchObject({
      attention: 'only the slow reference: no SIMD',
      'the rest of a model': 'nothing, so no model runs: no build',
    });
  });
});

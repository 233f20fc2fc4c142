/** Whatever the bytes, a reader gives a checkpoint or a CheckpointError, soon, and never more memory than the file justifies. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../errors.ts';
import {
  type ByteSource,
  type Checkpoint,
  memorySource,
  openGguf,
  openSafetensors,
  toFloat32,
  toQuantizedMatrix,
} from './index.ts';
import { bytes, ggufFile, safetensorsFile } from './test-files.ts';

const gguf = ggufFile({
  pairs: [
    { key: 'general.alignment', type: 4, value: bytes().u32(32).done() },
    { key: 'list', type: 9, value: bytes().u32(8).u64(2).string('one').string('two').done() },
    { key: 'numbers', type: 9, value: bytes().u32(10).u64(2).u64(1).u64(2).done() },
  ],
  tensors: [
    { name: 'a', sides: [32, 2], type: 2, offset: 0 },
    { name: 'b', sides: [3], type: 0, offset: 64 },
  ],
  data: new Uint8Array(76),
});

const safetensors = safetensorsFile(
  {
    __metadata__: { format: 'pt' },
    a: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
    b: { dtype: 'BF16', shape: [3], data_offsets: [16, 22] },
  },
  new Uint8Array(22),
);

/** Opens and reads everything. Reads beyond the file would be allocations that nothing bounds. */
async function survive(open: (source: ByteSource) => Promise<Checkpoint>, file: Uint8Array): Promise<void> {
  const source = memorySource(file, 'fuzzed');
  const guarded: ByteSource = {
    ...source,
    read(offset, length) {
      expect(offset).toBeGreaterThanOrEqual(0);
      expect(offset + length).toBeLessThanOrEqual(file.length);
      return source.read(offset, length);
    },
  };
  try {
    const checkpoint = await open(guarded);
    for (const name of checkpoint.names()) {
      const tensor = await checkpoint.read(name);
      expect(tensor.data.byteLength).toBe(checkpoint.info(name).bytes);
      toFloat32(tensor);
      if (tensor.data.byteLength > 0) toQuantizedMatrix(tensor);
    }
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.message).toMatch(/fuzzed|tensor "/);
  }
}

/** A valid file with some bytes replaced and perhaps the end cut off. */
function damaged(file: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.tuple(fc.nat(file.length - 1), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255)));
  return fc
    .tuple(fc.array(edit, { maxLength: 6 }), fc.oneof(fc.constant(file.length), fc.nat(file.length)))
    .map(([edits, length]) => {
      const copy = file.slice();
      for (const [at, value] of edits) copy[at] = value;
      return copy.subarray(0, length);
    });
}

describe.each([
  ['GGUF', openGguf, gguf],
  ['safetensors', openSafetensors, safetensors],
] as const)('fuzzed %s', (_, open, valid) => {
  it('the file itself is read', async () => {
    const checkpoint = await open(memorySource(valid));
    expect(checkpoint.names()).toEqual(['a', 'b']);
  });

  it('damaged files', async () => {
    await fc.assert(
      fc.asyncProperty(damaged(valid), (file) => survive(open, file)),
      { numRuns: 5000 },
    );
  });

  it('random bytes, with and without the right start', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(valid.length), (tail, keep) =>
        survive(open, Uint8Array.from([...valid.subarray(0, keep), ...tail])),
      ),
      { numRuns: 2000 },
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), (file) => survive(open, file)),
      { numRuns: 2000 },
    );
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../errors.ts';
import { type ByteSource, memorySource, openTorch, readFloat32, toTypedArray } from './index.ts';
import { openCheckpoint } from './node.ts';
import { python, storage, tensor, torchFile } from './test-torch.ts';

const floats = Float32Array.from({ length: 12 }, (_, i) => i + 0.5);
const columnOf = (column: number) => floats.filter((_, i) => i % 4 === column);

/** A state_dict: a plain matrix, its transpose in the same storage, a row of it, and attributes that do not count. */
const file = torchFile({
  root: python.build(
    python.ordered({
      weight: tensor(python.remember(storage('FloatStorage', '0', 12), 5), 0, [3, 4], [4, 1]),
      transposed: tensor(python.remembered(5), 0, [4, 3], [1, 4]),
      row: tensor(python.remembered(5), 4, [4], [1]),
      scalar: tensor(storage('LongStorage', '1', 1), 0, [], []),
      empty: tensor(storage('HalfStorage', '2', 0), 0, [0, 5], [5, 1]),
      parameter: python.call(
        python.global('torch._utils', '_rebuild_parameter'),
        tensor(storage('BFloat16Storage', '3', 2), 0, [2], [1]),
        python.true,
        python.call(python.global('collections', 'OrderedDict')),
      ),
    }),
    python.dictionary({ _metadata: python.dictionary({ version: python.integer(1) }) }),
  ),
  storages: { 0: floats, 1: BigInt64Array.of(-7n), 2: new Uint16Array(), 3: Uint16Array.of(0x3f80, 0xc000) },
});

describe('PyTorch checkpoints', () => {
  it('gives tensors by name, whatever their strides, offsets and shared storages', async () => {
    const checkpoint = await openTorch(memorySource(file));
    expect(checkpoint.names()).toEqual(['weight', 'transposed', 'row', 'scalar', 'empty', 'parameter']);
    expect(checkpoint.info('weight')).toEqual({ name: 'weight', shape: [3, 4], type: 'F32', bytes: 48 });
    expect(await readFloat32(checkpoint, 'weight')).toEqual(floats);
    const columns = [0, 1, 2, 3].flatMap((column) => [0, 4, 8].map((row) => floats[row + column] ?? 0));
    expect(await readFloat32(checkpoint, 'transposed')).toEqual(Float32Array.from(columns));
    expect(await readFloat32(checkpoint, 'row')).toEqual(floats.slice(4, 8));
    expect(toTypedArray(await checkpoint.readRows('weight', 1, 2))).toEqual(floats.slice(4));
    expect(toTypedArray(await checkpoint.readRows('transposed', 2, 1))).toEqual(columnOf(2));
    await expect(checkpoint.readRows('weight', -1, 2)).rejects.toThrow('has no rows -1 to 1');
    expect(toTypedArray(await checkpoint.read('scalar'))).toEqual(BigInt64Array.of(-7n));
    expect((await checkpoint.read('empty')).data).toHaveLength(0);
    expect(await readFloat32(checkpoint, 'parameter')).toEqual(Float32Array.of(1, -2));
    await expect(checkpoint.read('bias')).rejects.toThrow('no tensor "bias"');
  });

  it('reads any strides as their definition says', async () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(5), fc.nat(), async (shape, offset, seed) => {
        // A permuted, contiguous tensor: strides of the axes in another order.
        const order = [...shape.keys()].sort((a, b) => ((a * 7 + seed) % 5) - ((b * 7 + seed) % 5));
        const strides = shape.map(() => 0);
        let step = 1;
        for (const axis of order) {
          strides[axis] = step;
          step *= shape[axis];
        }
        const data = Int32Array.from({ length: step + offset }, (_, i) => i * 3);
        const root = python.list(tensor(storage('IntStorage', 'a', data.length), offset, shape, strides));
        const checkpoint = await openTorch(memorySource(torchFile({ root, storages: { a: data } })));
        const index = (i: number): number[] => {
          let rest = i;
          return shape
            .toReversed()
            .map((side) => {
              const own = rest % side;
              rest = Math.floor(rest / side);
              return own;
            })
            .reverse();
        };
        const want = Int32Array.from(
          { length: step },
          (_, i) => data[index(i).reduce((place, own, axis) => place + own * strides[axis], offset)],
        );
        expect(toTypedArray(await checkpoint.read('0'))).toEqual(want);
      }),
      { numRuns: 200 },
    );
  });

  it('reads one tensor without the others, and deflated archives too', async () => {
    let read = 0;
    const inner = memorySource(file);
    const source: ByteSource = {
      ...inner,
      read(offset, length) {
        read += length;
        return inner.read(offset, length);
      },
    };
    const checkpoint = await openTorch(source);
    read = 0;
    await checkpoint.read('row');
    expect(read).toBe(30 + 16);
    const root = python.dictionary({
      model: python.ordered({ weight: tensor(storage('FloatStorage', '0', 12), 0, [12], [1]) }),
    });
    const deflated = await openTorch(memorySource(torchFile({ root, storages: { 0: floats }, level: 6 })));
    expect(deflated.names()).toEqual(['model.weight']);
    expect(await readFloat32(deflated, 'model.weight')).toEqual(floats);
  });

  it('opens by name and by folder, and shards by their index', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'farfield-torch-'));
    try {
      const part = (name: string, seed: number) =>
        torchFile({
          root: python.ordered({ [name]: tensor(storage('FloatStorage', '0', 2), 0, [2], [1]) }),
          storages: { 0: Float32Array.of(seed, seed + 1) },
        });
      await writeFile(join(folder, 'pytorch_model.bin'), file);
      const whole = await openCheckpoint(folder);
      expect(whole.format).toBe('torch');
      expect(whole.checkpoint.names()).toContain('transposed');
      await whole.checkpoint.close();
      await writeFile(join(folder, 'one.bin'), part('a', 1));
      await writeFile(join(folder, 'two.bin'), part('b', 5));
      await writeFile(
        join(folder, 'pytorch_model.bin.index.json'),
        JSON.stringify({ weight_map: { a: 'one.bin', b: 'two.bin' } }),
      );
      const { checkpoint, format } = await openCheckpoint(folder);
      expect(format).toBe('torch');
      expect(await readFloat32(checkpoint, 'b')).toEqual(Float32Array.of(5, 6));
      await checkpoint.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  const one = storage('FloatStorage', '0', 12);
  const storages = { 0: floats };
  it.each([
    [
      'os.system',
      { root: python.call(python.global('os', 'system'), python.text('true')), storages },
      'imports os.system; only tensors are read',
    ],
    [
      'builtins.eval',
      { root: python.call(python.global('builtins', 'eval'), python.text('1')), storages },
      'imports builtins.eval',
    ],
    [
      'numpy',
      { root: python.global('numpy.core.multiarray', '_reconstruct'), storages },
      'imports numpy.core.multiarray._reconstruct',
    ],
    [
      'a storage called as a function',
      { root: python.call(python.global('torch', 'FloatStorage')), storages },
      'a call of what is no function',
    ],
    ['another type', { root: storage('ComplexFloatStorage', '0', 1), storages }, 'imports torch.ComplexFloatStorage'],
    [
      'a tensor beyond its storage',
      { root: tensor(one, 4, [3, 4], [4, 1]), storages },
      'reaches beyond the 12 elements',
    ],
    [
      'a tensor that repeats its storage',
      { root: tensor(one, 0, [2 ** 20, 12], [0, 1]), storages },
      'repeats the 12 elements',
    ],
    [
      'a storage that is not there',
      { root: storage('FloatStorage', '9', 1), storages },
      'storage "9" is not in the archive',
    ],
    [
      'a storage that is too short',
      { root: storage('FloatStorage', '0', 13), storages },
      'has 48 bytes for 13 elements of F32',
    ],
    ['big-endian numbers', { root: python.none, storages, byteorder: 'big' }, 'big-endian'],
  ])('refuses %s', async (_, parts, why) => {
    const opening = openTorch(memorySource(torchFile(parts), 'model.bin'));
    await expect(opening).rejects.toThrow(CheckpointError);
    await expect(openTorch(memorySource(torchFile(parts), 'model.bin'))).rejects.toThrow(why);
  });

  it('refuses the format before 1.6, and what is no archive', async () => {
    const legacy = Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e);
    await expect(openTorch(memorySource(legacy))).rejects.toThrow('before 1.6');
    await expect(openTorch(memorySource(new Uint8Array(100)))).rejects.toThrow('no zip archive');
    await expect(openTorch(memorySource(new Uint8Array()))).rejects.toThrow(CheckpointError);
  });
});

describe('fuzzed PyTorch checkpoints', () => {
  async function survive(bytes: Uint8Array): Promise<void> {
    const inner = memorySource(bytes, 'fuzzed');
    const source: ByteSource = {
      ...inner,
      read(offset, length) {
        expect(offset).toBeGreaterThanOrEqual(0);
        expect(offset + length).toBeLessThanOrEqual(bytes.length);
        return inner.read(offset, length);
      },
    };
    try {
      const checkpoint = await openTorch(source);
      for (const name of checkpoint.names()) {
        expect((await checkpoint.read(name)).data.byteLength).toBe(checkpoint.info(name).bytes);
      }
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      expect(error.message).toMatch(/fuzzed/);
    }
  }

  it('with bytes replaced and the end cut off', async () => {
    const edit = fc.tuple(fc.nat(file.length - 1), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255)));
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 6 }), fc.nat(file.length), fc.boolean(), async (edits, end, cut) => {
        const copy = file.slice();
        for (const [at, byte] of edits) copy[at] = byte;
        await survive(cut ? copy.subarray(0, end) : copy);
      }),
      { numRuns: 3000 },
    );
  });

  it('with random pickles', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), (root) =>
        survive(torchFile({ root, storages: { 0: floats } })),
      ),
      { numRuns: 1000 },
    );
  });
});

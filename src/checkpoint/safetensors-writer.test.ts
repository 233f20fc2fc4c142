import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../errors.ts';
import { memorySource, openSafetensors, readFloat32, toTypedArray } from './index.ts';
import { type TensorToWrite, writeSafetensors } from './safetensors-writer.ts';

function fileOf(tensors: readonly TensorToWrite[], metadata?: Record<string, string>): Uint8Array {
  return Uint8Array.from([...writeSafetensors(tensors, metadata)].flatMap((piece) => [...piece]));
}

describe('writeSafetensors', () => {
  it('writes the bytes that the format describes', () => {
    const file = fileOf([{ name: 'a', shape: [2], data: Float32Array.of(1, -2) }]);
    const header = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    expect([...file.subarray(0, 8)]).toEqual([padded.length, 0, 0, 0, 0, 0, 0, 0]);
    expect(new TextDecoder().decode(file.subarray(8, 8 + padded.length))).toBe(padded);
    expect([...file.subarray(8 + padded.length)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
  });

  it('writes what the reader reads, whatever the names and shapes', async () => {
    const tensor = fc.record({
      name: fc.oneof(fc.string(), fc.constantFrom('__proto__', '7', 'ü"\\')),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
      seed: fc.nat(1000),
    });
    const list = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(list, fc.dictionary(fc.string(), fc.string()), async (made, metadata) => {
        const tensors = made.map(({ name, shape, seed }) => {
          const length = shape.reduce((product, side) => product * side, 1);
          return { name, shape, data: Float32Array.from({ length }, (_, i) => Math.sin(seed + i)) };
        });
        const checkpoint = await openSafetensors(memorySource(fileOf(tensors, metadata)));
        expect(new Set(checkpoint.names())).toEqual(new Set(tensors.map(({ name }) => name)));
        expect(new Map(checkpoint.metadata)).toEqual(new Map(Object.entries(metadata)));
        for (const { name, shape, data } of tensors) {
          expect(checkpoint.info(name).shape).toEqual(shape);
          expect(await readFloat32(checkpoint, name)).toEqual(data);
        }
      }),
    );
  });

  it('writes other types, and tensors larger than a piece', async () => {
    const large = Float32Array.from({ length: 2 ** 21 + 5 }, (_, i) => i);
    const tensors: TensorToWrite[] = [
      { name: 'half', shape: [3], type: 'F16', data: Uint16Array.of(0x3c00, 0xc000, 0x7bff) },
      { name: 'ids', shape: [2], type: 'I64', data: BigInt64Array.of(-1n, 5n) },
      { name: 'large', shape: [large.length], data: large },
    ];
    const sizes = [...writeSafetensors(tensors)].map((piece) => piece.byteLength);
    expect(sizes.slice(1)).toEqual([6, 16, 2 ** 23, 20]);
    const pieces = [...writeSafetensors(tensors)];
    const file = new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
    const checkpoint = await openSafetensors(memorySource(file));
    expect([...(await readFloat32(checkpoint, 'half'))]).toEqual([1, -2, 65504]);
    expect(toTypedArray(await checkpoint.read('ids'))).toEqual(BigInt64Array.of(-1n, 5n));
    expect(Buffer.compare(Buffer.from((await checkpoint.read('large')).data), Buffer.from(large.buffer))).toBe(0);
  });

  it('refuses what the reader would refuse, before the first byte', () => {
    const one = { name: 'a', shape: [1], data: Float32Array.of(1) };
    expect(() => writeSafetensors([one, one])).toThrow(CheckpointError);
    expect(() => writeSafetensors([{ ...one, name: '__metadata__' }])).toThrow('named as the metadata');
    expect(() => writeSafetensors([{ ...one, shape: [2] }])).toThrow('takes 8 bytes, but its data has 4');
    expect(() => writeSafetensors([{ ...one, type: 'F16' }])).toThrow('takes 2 bytes, but its data has 4');
  });
});

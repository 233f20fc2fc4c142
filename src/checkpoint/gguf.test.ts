import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../errors.ts';
import { blobSource, memorySource, openGguf, readFloat32, toTypedArray } from './index.ts';
import { bytes, type GgufParts, ggufFile } from './test-files.ts';

const F32 = 0;
const U32 = 4;
const STRING = 8;
const ARRAY = 9;

const floats = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
const matrix = { name: 'w', sides: [3, 2], type: F32, offset: 0 };

async function failure(parts: GgufParts | Uint8Array): Promise<string> {
  const file = parts instanceof Uint8Array ? parts : ggufFile(parts);
  try {
    await openGguf(memorySource(file, 'bad.gguf'));
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    const { message } = error as Error;
    expect(message).toContain('bad.gguf');
    return message;
  }
  throw new Error('it was opened');
}

describe('openGguf', () => {
  it('reads a tensor, its sides reversed to row-major', async () => {
    const gguf = await openGguf(memorySource(ggufFile({ version: 2, tensors: [matrix], data: floats })));
    expect(gguf.version).toBe(2);
    expect(gguf.info('w')).toEqual({ name: 'w', shape: [2, 3], type: 'F32', bytes: 24 });
    expect([...(await readFloat32(gguf, 'w'))]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(gguf.has('v')).toBe(false);
    expect(() => gguf.info('v')).toThrow('no tensor "v"; there are 1, such as w');
    await expect(gguf.read('v')).rejects.toThrow(CheckpointError);
  });

  it('reads from a Blob', async () => {
    const gguf = await openGguf(blobSource(new Blob([ggufFile({ tensors: [matrix], data: floats }) as BlobPart])));
    expect([...(await readFloat32(gguf, 'w'))]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('reads every type of value', async () => {
    const f32 = new Uint8Array(Float32Array.of(0.5).buffer);
    const f64 = new Uint8Array(Float64Array.of(-0.1).buffer);
    const pairs = [
      { key: 'u8', type: 0, value: bytes().integer(200, 1).done() },
      { key: 'i8', type: 1, value: bytes().integer(-3, 1).done() },
      { key: 'u16', type: 2, value: bytes().integer(65535, 2).done() },
      { key: 'i16', type: 3, value: bytes().integer(-32768, 2).done() },
      { key: 'u32', type: U32, value: bytes().u32(4294967295).done() },
      { key: 'i32', type: 5, value: bytes().integer(-5, 4).done() },
      { key: 'f32', type: 6, value: f32 },
      { key: 'bool', type: 7, value: bytes().integer(1, 1).done() },
      { key: 'string', type: STRING, value: bytes().string('héllo, a string that is longer than most').done() },
      {
        key: 'u64',
        type: 10,
        value: bytes()
          .u64(2n ** 64n - 1n)
          .done(),
      },
      {
        key: 'small u64',
        type: 10,
        value: bytes()
          .u64(2n ** 53n - 1n)
          .done(),
      },
      { key: 'i64', type: 11, value: bytes().u64(-7).done() },
      { key: 'f64', type: 12, value: f64 },
      {
        key: 'nested',
        type: ARRAY,
        value: bytes()
          .u32(ARRAY)
          .u64(2)
          .u32(3)
          .u64(2)
          .integer(-1, 2)
          .integer(2, 2)
          .u32(STRING)
          .u64(1)
          .string('x')
          .done(),
      },
    ];
    const { metadata } = await openGguf(memorySource(ggufFile({ pairs })));
    expect(Object.fromEntries(metadata)).toEqual({
      u8: 200,
      i8: -3,
      u16: 65535,
      i16: -32768,
      u32: 4294967295,
      i32: -5,
      f32: 0.5,
      bool: true,
      string: 'héllo, a string that is longer than most',
      u64: 2n ** 64n - 1n,
      'small u64': 2 ** 53 - 1,
      i64: -7,
      f64: -0.1,
      nested: [[-1, 2], ['x']],
    });
  });

  it('respects general.alignment', async () => {
    const pairs = [{ key: 'general.alignment', type: U32, value: bytes().u32(256).done() }];
    const file = ggufFile({ pairs, tensors: [matrix], alignment: 256, data: floats });
    expect([...(await readFloat32(await openGguf(memorySource(file)), 'w'))]).toEqual([1, 2, 3, 4, 5, 6]);
    const misaligned = { tensors: [{ ...matrix, offset: 64 }], data: new Uint8Array(128) };
    await openGguf(memorySource(ggufFile(misaligned)));
    expect(await failure({ ...misaligned, pairs, alignment: 256 })).toContain('tensor "w" is misaligned');
    const three = [{ key: 'general.alignment', type: U32, value: bytes().u32(3).done() }];
    expect(await failure({ pairs: three })).toContain('general.alignment is 3');
  });

  it('reads a header longer than its first read', async () => {
    const words = Array.from({ length: 300_000 }, (_, i) => `word number ${i}`);
    const list = new Uint8Array(12 + words.reduce((sum, word) => sum + 8 + word.length, 0));
    const view = new DataView(list.buffer);
    view.setUint32(0, STRING, true);
    view.setUint32(4, words.length, true);
    let at = 12;
    for (const word of words) {
      view.setUint32(at, word.length, true);
      at += 8 + new TextEncoder().encodeInto(word, list.subarray(at + 8)).written;
    }
    const start = ggufFile({ pairCount: 1, pairs: [] }).subarray(0, 24);
    const key = bytes().string('words').u32(ARRAY).done();
    const padding = new Uint8Array((32 - ((24 + key.length + list.length) % 32)) % 32);
    const file = await new Blob([start, key, list, padding] as BlobPart[]).arrayBuffer();
    expect(file.byteLength).toBeGreaterThan(5_000_000);
    const { metadata } = await openGguf(memorySource(new Uint8Array(file)));
    expect(String(metadata.get('words'))).toBe(String(words));
  });

  it('gives integers as typed arrays', async () => {
    const file = ggufFile({
      tensors: [{ name: 'i', sides: [2], type: 27, offset: 0 }],
      data: new Uint8Array(BigInt64Array.of(-1n, 2n ** 40n).buffer),
    });
    const tensor = await (await openGguf(memorySource(file))).read('i');
    expect(toTypedArray(tensor)).toEqual(BigInt64Array.of(-1n, 2n ** 40n));
  });
});

describe('a damaged GGUF file', () => {
  it('says what is wrong with its start', async () => {
    expect(await failure({ magic: 'GGML' })).toContain('does not start with "GGUF"');
    expect(await failure({ version: 1 })).toContain('version 1');
    expect(await failure({ version: 4 })).toContain('version 4');
    expect(await failure({ version: 0x03000000 })).toContain('big-endian');
    expect(await failure(new Uint8Array(0))).toContain('only 0 are left');
    expect(await failure(Uint8Array.of(0x47, 0x47, 0x55))).toContain('only 3 are left');
  });

  it('refuses counts that the file cannot hold, before allocating', async () => {
    expect(await failure({ tensorCount: 2n ** 63n })).toContain('the number of tensors is 9223372036854775808');
    expect(await failure({ tensorCount: 1000 })).toContain('the number of tensors is 1000');
    expect(await failure({ pairCount: 2 ** 40 })).toContain('the number of metadata pairs');
    const list = (value: Uint8Array) => ({ pairs: [{ key: 'k', type: ARRAY, value }] });
    expect(
      await failure(
        list(
          bytes()
            .u32(U32)
            .u64(2 ** 50)
            .done(),
        ),
      ),
    ).toContain('the length of "k"');
    expect(await failure(list(bytes().u32(STRING).u64(10).done()))).toContain('the length of "k"');
    expect(await failure({ pairs: [{ key: 'k', type: STRING, value: bytes().u64(999).done() }] })).toContain(
      '"k" at byte',
    );
  });

  it('refuses unknown types and values', async () => {
    expect(await failure({ pairs: [{ key: 'k', type: 13, value: new Uint8Array(0) }] })).toContain('value type 13');
    const list = bytes().u32(77).u64(0).done();
    expect(await failure({ pairs: [{ key: 'k', type: ARRAY, value: list }] })).toContain('element type 77');
    expect(await failure({ pairs: [{ key: 'k', type: 7, value: Uint8Array.of(2) }] })).toContain('neither 0 nor 1');
    expect(await failure({ tensors: [{ ...matrix, type: 99 }], data: floats })).toContain('type number 99');
    expect(await failure({ tensors: [{ ...matrix, type: 16 }], data: floats })).toContain('IQ2_XXS');
    const level = [...bytes().u32(ARRAY).u64(1).done()];
    const deep = Uint8Array.from(Array.from({ length: 20_000 }, () => level).flat());
    expect(await failure({ pairs: [{ key: 'k', type: ARRAY, value: deep }] })).toContain('nested deeper');
  });

  it('refuses names that come twice', async () => {
    const pair = { key: 'k', type: 7, value: Uint8Array.of(1) };
    expect(await failure({ pairs: [pair, pair] })).toContain('key "k" twice');
    const twice = [matrix, { ...matrix, offset: 32 }];
    expect(await failure({ tensors: twice, data: new Uint8Array(64) })).toContain('tensor "w" twice');
  });

  it('refuses tensors that do not fit', async () => {
    const tensors = (...list: GgufParts['tensors'] & object) => ({ tensors: list, data: floats });
    expect(await failure(tensors({ ...matrix, sides: [3, 3] }))).toContain('tensor "w" ends at byte');
    expect(await failure(tensors({ ...matrix, offset: 4 }))).toContain('tensor "w" is misaligned');
    expect(await failure(tensors(matrix, { ...matrix, name: 'v' }))).toContain('tensors "w" and "v" overlap');
    expect(await failure(tensors({ ...matrix, sides: [1, 1, 1, 1, 1] }))).toContain('rank 5');
    expect(await failure(tensors({ ...matrix, sides: [2n ** 40n, 2n ** 40n] }))).toContain('tensor "w" of type F32');
    expect(await failure(tensors({ ...matrix, sides: [2n ** 63n] }))).toContain('side 0 of tensor "w"');
    expect(await failure(tensors({ ...matrix, type: 2 }))).toContain('blocks of 32');
    const whole = ggufFile(tensors(matrix));
    for (const length of [whole.length - 1, whole.length - 24, 60, 40, 30, 23, 7]) {
      await failure(whole.subarray(0, length));
    }
  });
});

import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../errors.ts';
import { storedRows } from './checkpoint.ts';
import { memorySource, openSafetensors, openSharded, readFloat32, toFloat32, toTypedArray } from './index.ts';
import { bytes, safetensorsFile } from './test-files.ts';

const two = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
const data = new Uint8Array(Float32Array.of(1.5, -2).buffer);

async function failure(file: Uint8Array): Promise<string> {
  try {
    await openSafetensors(memorySource(file, 'bad.safetensors'));
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    const { message } = error as Error;
    expect(message).toContain('bad.safetensors');
    return message;
  }
  throw new Error('it was opened');
}

describe('openSafetensors', () => {
  it('reads tensors and metadata', async () => {
    const file = safetensorsFile({ __metadata__: { format: 'pt' }, a: two }, data);
    const checkpoint = await openSafetensors(memorySource(file));
    expect(checkpoint.names()).toEqual(['a']);
    expect(checkpoint.info('a')).toEqual({ name: 'a', shape: [2], type: 'F32', bytes: 8 });
    expect([...(await readFloat32(checkpoint, 'a'))]).toEqual([1.5, -2]);
    expect([...checkpoint.metadata]).toEqual([['format', 'pt']]);
    expect(() => checkpoint.info('b')).toThrow('no tensor "b"');
  });

  it('reads rows of a tensor', async () => {
    const table = { dtype: 'F16', shape: [3, 2], data_offsets: [0, 12] };
    const halves = new Uint8Array(Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600).buffer);
    const checkpoint = await openSafetensors(memorySource(safetensorsFile({ table }, halves)));
    const rows = await checkpoint.readRows('table', 1, 2);
    expect(rows.shape).toEqual([2, 2]);
    expect([...toFloat32(rows)]).toEqual([3, 4, 5, 6]);
    await expect(checkpoint.readRows('table', 2, 2)).rejects.toThrow('of shape [3, 2] has no rows 2 to 4');
    await expect(checkpoint.readRows('rows', 0, 1)).rejects.toThrow('no tensor "rows"');
  });

  it('reads no rows of a tensor that has none', async () => {
    const table = { dtype: 'F16', shape: [0, 2], data_offsets: [0, 0] };
    const checkpoint = await openSafetensors(memorySource(safetensorsFile({ table }, new Uint8Array())));
    const none = { name: 'table', shape: [0, 2], type: 'F16', data: new Uint8Array() };
    expect(await checkpoint.readRows('table', 0, 0)).toEqual(none);
    expect(storedRows(await checkpoint.read('table'), 0, 0)).toEqual(none);
    await expect(checkpoint.readRows('table', 0, 1)).rejects.toThrow('of shape [0, 2] has no rows 0 to 1');
  });

  it.each([
    ['F64', Float64Array.of(1, -0.25), [1, -0.25]],
    ['F32', Float32Array.of(1, -0.25), [1, -0.25]],
    ['I64', BigInt64Array.of(-1n, 5n), [-1, 5]],
    ['U64', BigUint64Array.of(1n, 5n), [1, 5]],
    ['I32', Int32Array.of(-1, 5), [-1, 5]],
    ['U32', Uint32Array.of(1, 4294967295), [1, 4294967296]],
    ['I16', Int16Array.of(-1, 5), [-1, 5]],
    ['U16', Uint16Array.of(1, 65535), [1, 65535]],
    ['I8', Int8Array.of(-1, 5), [-1, 5]],
    ['U8', Uint8Array.of(1, 255), [1, 255]],
    ['BOOL', Uint8Array.of(1, 0), [1, 0]],
  ])('reads %s, aligned or not', async (dtype, values, numbers) => {
    const raw = new Uint8Array(values.buffer);
    // A first tensor of one byte puts the second at an odd offset.
    const header = {
      first: { dtype: 'U8', shape: [1], data_offsets: [0, 1] },
      a: { dtype, shape: [1, 2], data_offsets: [1, 1 + raw.length] },
    };
    const file = safetensorsFile(header, Uint8Array.of(9, ...raw));
    const tensor = await (await openSafetensors(memorySource(file))).read('a');
    expect(toTypedArray(tensor)).toEqual(values);
    expect([...toFloat32(tensor)]).toEqual(numbers);
  });

  it('decodes 16-bit and 8-bit floats', () => {
    const decode = (type: 'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2', data: number[], shape: number[]) => [
      ...toFloat32({ name: 'x', shape, type, data: Uint8Array.from(data) }),
    ];
    // 1, -2, largest, smallest, infinity, one third
    const halves = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x3555].flatMap((bits) => [bits & 255, bits >> 8]);
    expect(decode('F16', halves, [6])).toEqual([1, -2, 65504, 2 ** -24, Infinity, 0.333251953125]);
    expect(decode('BF16', [0x80, 0x3f, 0x00, 0xc0, 0x80, 0x7f], [3])).toEqual([1, -2, Infinity]);
    expect(decode('F8_E4M3', [0x38, 0x7e, 0x01, 0x7f, 0xc0], [5])).toEqual([1, 448, 2 ** -9, NaN, -2]);
    expect(decode('F8_E5M2', [0x3c, 0x7b, 0x01, 0x7c], [4])).toEqual([1, 57344, 2 ** -16, Infinity]);
  });

  it('reads scalars and empty tensors', async () => {
    const header = {
      scalar: { dtype: 'F32', shape: [], data_offsets: [0, 4] },
      empty: { dtype: 'F32', shape: [0, 3], data_offsets: [4, 4] },
    };
    const checkpoint = await openSafetensors(memorySource(safetensorsFile(header, data.subarray(0, 4))));
    expect([...(await readFloat32(checkpoint, 'scalar'))]).toEqual([1.5]);
    expect((await readFloat32(checkpoint, 'empty')).length).toBe(0);
  });

  it('refuses data that is not as long as the shape says', () => {
    expect(() => toFloat32({ name: 'x', shape: [3], type: 'F32', data })).toThrow('takes 12 bytes, but has 8');
    expect(() => toFloat32({ name: 'x', shape: [3], type: 'Q4_0', data })).toThrow('blocks of 32');
  });
});

describe('a damaged safetensors file', () => {
  const withEntry = (entry: unknown) => safetensorsFile({ a: entry }, data);

  it('says what is wrong with its header', async () => {
    expect(await failure(new Uint8Array(3))).toContain('the length of the header');
    expect(await failure(bytes().u64(1000).raw([1, 2]).done())).toContain('is to take 1000 bytes');
    expect(
      await failure(
        bytes()
          .u64(2n ** 63n)
          .raw([1, 2])
          .done(),
      ),
    ).toContain('truncated');
    expect(await failure(safetensorsFile('{"a": '))).toContain('not JSON');
    expect(await failure(bytes().u64(2).raw([0xff, 0xfe]).done())).toContain('not JSON');
    expect(await failure(safetensorsFile('[1]'))).toContain('not an object');
    expect(await failure(safetensorsFile({ __metadata__: { a: 1 } }))).toContain('"a" is not a string');
  });

  it('names the tensor that is wrong', async () => {
    expect(await failure(withEntry(7))).toContain('"a" is not described');
    expect(await failure(withEntry({ ...two, dtype: 'F31' }))).toContain('the type "F31"');
    expect(await failure(withEntry({ ...two, dtype: 'Q4_0' }))).toContain('the type "Q4_0"');
    expect(await failure(withEntry({ ...two, dtype: 'toString' }))).toContain('the type "toString"');
    expect(await failure(withEntry({ ...two, shape: [-2] }))).toContain('the shape [-2]');
    expect(await failure(withEntry({ ...two, shape: 'two' }))).toContain('the shape "two"');
    expect(await failure(withEntry({ ...two, shape: [3] }))).toContain('takes 12 bytes, but its offsets span 8');
    expect(await failure(withEntry({ ...two, shape: [2 ** 40, 2 ** 40] }))).toContain('uncountably many');
    expect(await failure(withEntry({ ...two, data_offsets: [8, 0] }))).toContain('bytes 8 to 0');
    expect(await failure(withEntry({ ...two, data_offsets: [0] }))).toContain('two numbers');
    expect(await failure(withEntry({ ...two, shape: [4], data_offsets: [0, 16] }))).toContain('of data that has 8');
  });

  it('refuses overlaps, holes and names that come twice', async () => {
    const one = { dtype: 'F32', shape: [1] };
    const overlap = { a: two, b: { ...one, data_offsets: [4, 8] } };
    expect(await failure(safetensorsFile(overlap, data))).toContain('"a" and "b" overlap');
    const hole = { a: { ...one, data_offsets: [4, 8] } };
    expect(await failure(safetensorsFile(hole, data))).toContain('belong to none');
    const entry = JSON.stringify(two);
    expect(await failure(safetensorsFile(`{"a":${entry}, "\\u0061" :${entry}}`, data))).toContain('tensor "a" twice');
    await openSafetensors(memorySource(safetensorsFile(`{"a":${entry}}   `, data)));
  });
});

describe('openSharded', () => {
  const shards: Record<string, Uint8Array> = {
    'one.safetensors': safetensorsFile({ a: two }, data),
    'two.safetensors': safetensorsFile({ b: two }, new Uint8Array(Float32Array.of(3, 4).buffer)),
  };
  let closed: string[] = [];
  const open = async (file: string) => ({
    ...memorySource(shards[file] ?? new Uint8Array(0), file),
    close: async () => {
      closed.push(file);
    },
  });
  const index = (map: unknown) => JSON.stringify({ metadata: { total_size: 16 }, weight_map: map });

  it('reads each tensor from its shard and closes all', async () => {
    closed = [];
    const map = { a: 'one.safetensors', b: 'two.safetensors' };
    const checkpoint = await openSharded(index(map), 'index', open);
    expect(checkpoint.names()).toEqual(['a', 'b']);
    expect([...(await readFloat32(checkpoint, 'b'))]).toEqual([3, 4]);
    expect([...toFloat32(await checkpoint.readRows('b', 1, 1))]).toEqual([4]);
    expect(checkpoint.info('a').shape).toEqual([2]);
    await checkpoint.close();
    expect(closed.sort()).toEqual(['one.safetensors', 'two.safetensors']);
  });

  it('refuses an index that is wrong, and closes what it had opened', async () => {
    closed = [];
    const wrong = { a: 'one.safetensors', b: 'one.safetensors' };
    await expect(openSharded(index(wrong), 'index', open)).rejects.toThrow('"b" is in one.safetensors, but it is not');
    expect(closed).toEqual(['one.safetensors']);
    await expect(openSharded(index({ a: 'absent' }), 'index', open)).rejects.toThrow(CheckpointError);
    for (const file of ['../one.safetensors', '/etc/passwd', 'C:\\x', '..', '', 5]) {
      await expect(openSharded(index({ a: file }), 'index', open)).rejects.toThrow('not the plain name');
    }
    await expect(openSharded('{', 'index', open)).rejects.toThrow('index: is not JSON');
    await expect(openSharded('{}', 'index', open)).rejects.toThrow('no "weight_map"');
  });
});

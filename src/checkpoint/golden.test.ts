/** Every storage type against the values of the format's reference package, to the last bit; see the README of the golden files. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Checkpoint, openGguf, type QuantizedMatrix, readFloat32, toQuantizedMatrix } from './index.ts';
import { fileSource, openCheckpoint } from './node.ts';

const GOLDEN = process.env.FARFIELD_GOLDEN ?? join(import.meta.dirname, '../../../shared/golden');
const GGUF = join(GOLDEN, 'gguf');

const TYPES = 'f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4'.split(' ');
const FOUR_BITS = ['q4_0', 'q4_1', 'q2_k', 'q3_k', 'q4_k'];

/** The numbers of a packed matrix by the definition in ONNX Runtime's documentation, in float64. */
function unpacked(matrix: QuantizedMatrix): Float64Array {
  const { rows, columns, bits, blockSize, packed, scales, zeroPoint, minima, minimaBlock = 32 } = matrix;
  const result = new Float64Array(rows * columns);
  for (let n = 0; n < rows; n++) {
    for (let k = 0; k < columns; k++) {
      const blob = (blockSize * bits) / 8;
      const byteAt = (n * (columns / blockSize) + Math.floor(k / blockSize)) * blob;
      const inBlock = k % blockSize;
      const byte = packed[byteAt + (bits === 8 ? inBlock : inBlock >> 1)] as number;
      const u = bits === 8 ? byte : inBlock % 2 === 0 ? byte & 15 : byte >> 4;
      const scale = scales[n * (columns / blockSize) + Math.floor(k / blockSize)] as number;
      const minimum = minima?.[n * (columns / minimaBlock) + Math.floor(k / minimaBlock)] ?? 0;
      result[n * columns + k] = scale * (u - zeroPoint) + minimum;
    }
  }
  return result;
}

describe.skipIf(!existsSync(GGUF))('golden GGUF files', () => {
  let expected: Checkpoint;
  beforeAll(async () => {
    expected = (await openCheckpoint(join(GGUF, 'expected.safetensors'))).checkpoint;
  });
  afterAll(() => expected.close());

  it.each(TYPES)('%s is exact to the last bit', async (type) => {
    const gguf = await openGguf(await fileSource(join(GGUF, `${type}.gguf`)));
    expect(gguf.names()).toEqual(['weight', 'odd.bias']);
    expect(gguf.info('weight').shape).toEqual([6, 512]);
    expect(gguf.info('weight').type).toBe(type.toUpperCase());
    const got = await readFloat32(gguf, 'weight');
    const want = await readFloat32(expected, type);
    expect(new Uint32Array(got.buffer, got.byteOffset, got.length)).toEqual(
      new Uint32Array(want.buffer, want.byteOffset, want.length),
    );
    expect(await readFloat32(gguf, 'odd.bias')).toEqual(Float32Array.of(0, 1, 2, 3, 4));
    await gguf.close();
  });

  it.each(TYPES)('%s repacks for MatMulNBits without loss', async (type) => {
    const gguf = await openGguf(await fileSource(join(GGUF, `${type}.gguf`)));
    const matrix = toQuantizedMatrix(await gguf.read('weight'));
    await gguf.close();
    if (['f32', 'f16', 'bf16'].includes(type)) {
      expect(matrix).toBeUndefined();
      return;
    }
    if (matrix === undefined) throw new Error('not repacked');
    expect([matrix.rows, matrix.columns, matrix.bits]).toEqual([6, 512, FOUR_BITS.includes(type) ? 4 : 8]);
    expect(matrix.packed.length).toBe((6 * 512 * matrix.bits) / 8);
    // The products are exact in float64, so one rounding to float32 must give the reference's numbers.
    expect(Float32Array.from(unpacked(matrix), (w) => w + 0)).toEqual(
      (await readFloat32(expected, type)).map((w) => w + 0),
    );
  });

  it('reads the metadata of the writer', async () => {
    const { checkpoint, metadata, format } = await openCheckpoint(join(GGUF, 'q4_k.gguf'));
    expect(format).toBe('gguf');
    expect(metadata?.get('general.architecture')).toBe('test');
    expect(metadata?.get('test.note')).toBe('naïve 日本');
    expect(metadata?.get('test.words')).toEqual(['a', 'bb', '']);
    expect(metadata?.get('test.big')).toBe(2 ** 40);
    await checkpoint.close();
  });
});

/** Layers of axial attention, forward and backward, against lucidrains' numbers: golden/kernels/axial_*. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Build, createDevice, type Tensor, type WasmDevice } from '../../src/attention/index.ts';
import { axial } from '../../src/pattern/index.ts';
import { disagreement, GOLDEN, readJson, readTensors, type Tolerance } from './folders.ts';

const KERNELS = join(GOLDEN, 'kernels');

interface Case {
  readonly params: {
    readonly shape: readonly number[];
    readonly heads: number;
    readonly head_size: number;
    readonly channel_axis: number;
    readonly sum_axes: boolean;
  };
  readonly tolerance: { readonly out: Tolerance; readonly grads: Tolerance };
}

type Numbers = ArrayLike<number>;

/** A [rows, inner] times B [columns, inner] transposed. */
function timesTransposed(a: Numbers, b: Numbers, inner: number): Float64Array {
  const [rows, columns] = [a.length / inner, b.length / inner];
  return Float64Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let x = 0; x < inner; x++) sum += a[i * inner + x] * b[j * inner + x];
    return sum;
  });
}

function transposed(a: Numbers, columns: number): Float64Array {
  const rows = a.length / columns;
  return Float64Array.from({ length: a.length }, (_, at) => a[(at % rows) * columns + Math.floor(at / rows)]);
}

/** A [rows, inner] times B [inner, columns]. */
const times = (a: Numbers, b: Numbers, inner: number): Float64Array =>
  timesTransposed(a, transposed(b, b.length / inner), inner);

const plus = (a: Numbers, b: Numbers): Float64Array => Float64Array.from({ length: a.length }, (_, i) => a[i] + b[i]);

describe.skipIf(!existsSync(KERNELS))('golden/kernels', () => {
  const devices: WasmDevice[] = [];
  beforeAll(async () => {
    for (const build of ['baseline', 'relaxed'] satisfies Build[])
      devices.push(await createDevice({ build, threads: 2 }));
  });
  afterAll(async () => {
    for (const device of devices) await device.dispose();
  });

  it.each(['axial_sum', 'axial_sequential', 'axial_3d', 'axial_channels_first'])('%s', async (name) => {
    const { params, tolerance } = readJson<Case>(KERNELS, name, 'case.json');
    const { heads, head_size: width, sum_axes: isSum } = params;
    const isFirst = params.channel_axis === 1;
    const [batch] = params.shape;
    const grid = isFirst ? params.shape.slice(2) : params.shape.slice(1, -1);
    const channels = isFirst ? params.shape[1] : (params.shape.at(-1) ?? 0);
    const cells = grid.reduce((product, size) => product * size, 1);
    const read = await readTensors(KERNELS, name, 'io.safetensors');
    /** Channels last. */
    const rows = (tensor: string): Numbers => {
      const { data } = read(tensor);
      if (!isFirst) return data as Float32Array;
      const images = Array.from({ length: batch }, (_, b) =>
        transposed((data as Float32Array).subarray(b * cells * channels, (b + 1) * cells * channels), cells),
      );
      return Float64Array.from(images.flatMap((image) => [...image]));
    };
    const floats = (tensor: string) => read(tensor).data as Float32Array;
    const tensor = (data: Numbers): Tensor => ({
      data: Float32Array.from(data),
      shape: [batch, cells, heads, width],
      layout: 'BNHD',
    });

    for (const device of devices) {
      /** One axis: what it gives, and what its gradient turns into. */
      const layer = async (axis: number, x: Numbers) => {
        const weight = (part: string) => floats(`axis${axis}.${part}`);
        const q = timesTransposed(x, weight('to_q.weight'), channels);
        const kv = weight('to_kv.weight');
        const k = timesTransposed(x, kv.subarray(0, kv.length / 2), channels);
        const v = timesTransposed(x, kv.subarray(kv.length / 2), channels);
        const options = { q: tensor(q), k: tensor(k), v: tensor(v), pattern: axial({ grid, axes: [axis] }) };
        const { output, lse } = await device.attention(options);
        const bias = weight('to_out.bias');
        const out = timesTransposed(output.data, weight('to_out.weight'), heads * width).map(
          (value, i) => value + bias[i % channels],
        );
        const backward = async (gradOut: Numbers) => {
          const gradAttention = times(gradOut, weight('to_out.weight'), channels);
          const { gradQ, gradK, gradV } = await device.attentionGradients({
            ...options,
            output,
            lse,
            gradOutput: tensor(gradAttention),
          });
          const gradKv = Float64Array.from({ length: 2 * k.length }, (_, at) => {
            const [row, column] = [Math.floor(at / (2 * heads * width)), at % (2 * heads * width)];
            const own = column < heads * width ? gradK : gradV;
            return own.data[row * heads * width + (column % (heads * width))];
          });
          const gradients: Record<string, Numbers> = {
            'to_q.weight': times(transposed(gradQ.data, heads * width), x, batch * cells),
            'to_kv.weight': times(transposed(gradKv, 2 * heads * width), x, batch * cells),
            'to_out.weight': times(transposed(gradOut, channels), output.data, batch * cells),
            'to_out.bias': Float64Array.from({ length: channels }, (_, c) => {
              let sum = 0;
              for (let row = 0; row < batch * cells; row++) sum += gradOut[row * channels + c];
              return sum;
            }),
          };
          for (const [part, got] of Object.entries(gradients)) check(`d_axis${axis}.${part}`, got, tolerance.grads);
          return plus(times(gradQ.data, weight('to_q.weight'), heads * width), times(gradKv, kv, 2 * heads * width));
        };
        return { out, backward };
      };
      const check = (key: string, got: Numbers, own: Tolerance) =>
        expect([
          device.build,
          key,
          disagreement(got, key === 'out' || key === 'dx' ? rows(key) : floats(key), own),
        ]).toEqual([device.build, key, '']);

      const layers: Awaited<ReturnType<typeof layer>>[] = [];
      let x = rows('x');
      let out: Numbers = new Float64Array(x.length);
      for (const axis of grid.keys()) {
        const own = await layer(axis, x);
        layers.push(own);
        if (isSum) out = plus(out, own.out);
        else [x, out] = [own.out, own.out];
      }
      check('out', out, tolerance.out);
      let grad = rows('grad_out');
      let dx: Numbers = new Float64Array(grad.length);
      for (const own of layers.toReversed()) {
        if (isSum) dx = plus(dx, await own.backward(grad));
        else grad = dx = await own.backward(grad);
      }
      check('dx', dx, tolerance.grads);
    }
  });
});

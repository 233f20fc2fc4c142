import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { DeviceError } from '../../errors.ts';
import { EPOCH, PENDING } from './control.ts';
import { WasmDevice } from './device.ts';
import { Heap } from './heap.ts';
import { JOB_WORDS, type Job } from './job.ts';
import { findPlatform, type Platform } from './platform.ts';
import { Pool } from './pool.ts';

/** Workers that are ready, and end at the first job. */
async function dyingPlatform(): Promise<Platform> {
  const platform = await findPlatform();
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const words = new Int32Array(workerData.memory.buffer, workerData.control, 4);
    parentPort.postMessage('ready');
    Atomics.wait(words, 0, 0);
    process.exit(7);`;
  return {
    ...platform,
    startWorker: (setup) => {
      const worker = new Worker(code, { eval: true, workerData: setup });
      return {
        onMessage: (listener) => worker.on('message', listener),
        onEnd: (listener) => worker.once('exit', (exit) => listener(new Error(`it exited with code ${exit}`))),
        send: (message) => worker.postMessage(message),
        hold: () => {},
        terminate: async () => {
          await worker.terminate();
        },
      };
    },
  };
}

describe('the pool', () => {
  it('rejects instead of waiting for a worker that died', async () => {
    const platform = await dyingPlatform();
    const heap = new Heap();
    const pool = await Pool.start(platform, heap, await platform.compile('baseline'), 3);
    const job = heap.allocate(4 * JOB_WORDS);
    heap.words(job, JOB_WORDS).fill(0);
    await expect(pool.run(job, 1024)).rejects.toThrow(
      /worker \d of the attention device failed: it exited with code 7/,
    );
    await expect(pool.run(job, 1024)).rejects.toThrow(DeviceError);
    await pool.dispose();
  });

  it('does a job once, however late its notification comes', async () => {
    const platform = await findPlatform();
    const heap = new Heap();
    let control = 0;
    const startWorker: Platform['startWorker'] = (setup) => {
      ({ control } = setup);
      return platform.startWorker(setup);
    };
    const pool = await Pool.start({ ...platform, startWorker }, heap, await platform.compile('baseline'), 2);
    const job = heap.allocate(4 * JOB_WORDS);
    heap.words(job, JOB_WORDS).fill(0);
    const words = new Int32Array(heap.memory.buffer, control, 8);
    for (let i = 0; i < 3; i++) {
      await pool.run(job, 1024);
      // Until a worker that has done the job waits for the next one.
      await expect.poll(() => Atomics.notify(words, EPOCH)).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(Atomics.load(words, PENDING)).toBe(0);
    }
    await pool.dispose();
  });

  it('turns a trap in the kernel into a DeviceError, and stays failed', async () => {
    const device = await WasmDevice.create({ threads: 2 });
    const far = { address: 0xffff0000, batch: 0, head: 0, row: 256, block: 0 };
    const job: Job = {
      batch: 1,
      heads: 1,
      keyValueHeads: 1,
      queries: 640,
      queryWidth: 64,
      valueWidth: 64,
      q: far,
      k: far,
      v: far,
      output: far,
      lse: 0xffff0000,
      scale: 1,
      sinkLogits: 0,
      mask: { heads: 0xffff0000, bitmaps: 0, ranges: 0 },
    };
    await expect(device.run(job)).rejects.toThrow(DeviceError);
    await expect(device.run(job)).rejects.toThrow(DeviceError);
    await device.dispose();
    // Nor does a later pass wait for what will never be done.
    const another = await WasmDevice.create({ threads: 2 });
    const pass = { queryBlocks: 10, mostKeyBlocks: 1, isOneToOne: false, hasAllKeys: true };
    const passes = [false, true].map((isLater): Job => ({ ...job, pass: { ...pass, isLater } }));
    await expect(another.runPasses(passes)).rejects.toThrow(DeviceError);
    await another.dispose();
  });
});

describe('the heap', () => {
  it('gives back what is freed, and joins neighbours', () => {
    const heap = new Heap();
    const [a, b, c] = [1000, 2000, 3000].map((bytes) => heap.allocate(bytes));
    expect(new Set([a % 64, b % 64, c % 64])).toEqual(new Set([0]));
    heap.free(b);
    heap.free(a);
    expect(heap.allocate(3000)).toBe(a);
    heap.free(a);
    heap.free(c);
    expect(heap.used).toBe(0);
  });

  it('grows, keeps old views valid, and knows its own arrays', () => {
    const heap = new Heap();
    const view = heap.floats(heap.allocate(400), 100).fill(7);
    const large = heap.allocate(50 * 2 ** 20);
    expect(heap.floats(view.byteOffset, 100)[99]).toBe(7);
    view[0] = 8;
    expect(heap.floats(view.byteOffset, 1)[0]).toBe(8);
    expect(heap.addressOf(view)).toBe(view.byteOffset);
    expect(heap.addressOf(new Float32Array(3))).toBeUndefined();
    heap.free(large);
  });

  it('says how much is needed and how much is left', () => {
    const heap = new Heap();
    expect(() => heap.allocate(5 * 2 ** 30)).toThrow(/5368709120 bytes are needed in one piece and \d+ are left/);
  });
});

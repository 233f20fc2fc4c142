/** Token ids in a temporary file, for data sets whose tokens do not fit into memory, in Node. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '../../errors.ts';
import { littleEndian } from './little-endian.ts';
import type { TokenStore } from './tokenized-set.ts';

/** See temporaryTokens() in on-disk.ts. */
export async function tokensOnDisk(folder = tmpdir()): Promise<TokenStore> {
  const own = await mkdtemp(join(folder, 'farfield-tokens-'));
  const handle = await open(join(own, 'tokens'), 'wx+');
  let size = 0;
  return {
    append: async (tokens) => {
      const bytes = littleEndian(tokens);
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, size);
        at += bytesWritten;
        size += bytesWritten;
      }
    },
    read: async (from, count) => {
      const bytes = new Uint8Array(count * 4);
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, from * 4 + filled);
        if (bytesRead === 0) throw new DataError(`the temporary file of tokens in ${own} was cut short while in use`);
        filled += bytesRead;
      }
      const view = new DataView(bytes.buffer);
      return Int32Array.from({ length: count }, (_, i) => view.getInt32(i * 4, true));
    },
    close: async () => {
      await handle.close();
      await rm(own, { recursive: true, force: true });
    },
  };
}

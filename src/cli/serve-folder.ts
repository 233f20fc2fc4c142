import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, sep } from 'node:path';
import { FarfieldError } from '../errors.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.txt': 'text/plain; charset=utf-8',
};

export interface FolderServer extends AsyncDisposable {
  /** Ends with a slash. */
  readonly url: string;
}

/**
 * Serves the files of a folder to this machine alone, as pages that are cross-origin isolated, which gives them
 * SharedArrayBuffer and thereby threads. `port` 0, the default, is any that is free. Throws FarfieldError for a port that is not.
 */
export async function serveFolder(folder: string, port = 0): Promise<FolderServer> {
  const server = createServer((request, response) => {
    answer(folder, request.url ?? '/').then(({ status, type, body }) => {
      response.writeHead(status, {
        'content-type': type,
        'cache-control': 'no-cache',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'it is in use; 0 takes one that is free' : error.message;
      reject(new FarfieldError(`port ${port} cannot be had: ${why}`, { cause: error }));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
}

async function answer(folder: string, url: string): Promise<Answer> {
  const missing: Answer = { status: 404, type: 'text/plain', body: 'not found\n' };
  try {
    const path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
    const file = join(folder, path.endsWith('/') ? `${path}index.html` : path);
    // %2e%2e%2f and the like lead out of the folder.
    if (!file.startsWith(join(folder, sep))) return missing;
    return { status: 200, type: types[extname(file)] ?? 'application/octet-stream', body: await readFile(file) };
  } catch {
    return missing;
  }
}

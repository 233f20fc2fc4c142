import { createServer } from 'node:http';
import { extname } from 'node:path';
import { FarfieldError } from '../errors.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.ts': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.txt': 'text/plain; charset=utf-8',
};

export interface FileServer extends AsyncDisposable {
  /** Ends with a slash. */
  readonly url: string;
}

export interface FileServerOptions {
  /** 0, the default, is any that is free. */
  readonly port?: number;
  /** Whether pages are cross-origin isolated, which gives them SharedArrayBuffer and thereby threads. Default true. */
  readonly isIsolated?: boolean;
}

/**
 * Serves what `find` has for a decoded path, undefined for nothing, to this machine alone; the path's ending says what it is.
 * Throws FarfieldError for a port that cannot be had.
 */
export async function serveFiles(
  find: (path: string) => Promise<string | Uint8Array | undefined>,
  { port = 0, isIsolated = true }: FileServerOptions = {},
): Promise<FileServer> {
  const server = createServer(async (request, response) => {
    const { path, body } = await answer(find, request.url ?? '/');
    const type = body === undefined ? 'text/plain' : types[extname(path)];
    response.writeHead(body === undefined ? 404 : 200, {
      'content-type': type ?? 'application/octet-stream',
      'cache-control': 'no-cache',
      ...(isIsolated && {
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      }),
    });
    response.end(request.method === 'HEAD' ? undefined : (body ?? 'not found\n'));
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

async function answer(find: (path: string) => Promise<string | Uint8Array | undefined>, url: string) {
  try {
    const path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
    const file = path.endsWith('/') ? `${path}index.html` : path;
    return { path: file, body: await find(file) };
  } catch {
    return { path: url, body: undefined };
  }
}

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** URL prefix -> folder: the built package, the programs of the tests, and the packages that dist/ imports by name. */
const folders: Readonly<Record<string, string>> = {
  '/dist/': 'dist',
  '/programs/': 'test/browser/programs',
  '/node_modules/': 'node_modules',
};

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.ts': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

const imports = {
  farfield: '/dist/index.js',
  'farfield/': '/dist/faces/',
  valibot: '/node_modules/valibot/dist/index.mjs',
  fflate: '/node_modules/fflate/esm/browser.js',
  '@huggingface/tokenizers': '/node_modules/@huggingface/tokenizers/dist/tokenizers.mjs',
  'onnxruntime-web': '/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs',
};

const page = `<!doctype html>
<meta charset="utf-8">
<title>Farfield test page</title>
<link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({ imports })}</script>
`;

export interface Server extends AsyncDisposable {
  readonly url: string;
}

/**
 * Serves the test page on this machine. `isolated` sends the two headers that make a page cross-origin isolated, which is
 * what gives it SharedArrayBuffer and thereby threads.
 */
export async function startServer(options: { readonly isolated: boolean }): Promise<Server> {
  const server = createServer((request, response) => {
    answer(new URL(request.url ?? '/', 'http://localhost').pathname).then(
      ({ status, type, body }) => {
        response.writeHead(status, {
          'content-type': type,
          'cache-control': 'no-store',
          ...(options.isolated && {
            'cross-origin-opener-policy': 'same-origin',
            'cross-origin-embedder-policy': 'require-corp',
          }),
        });
        response.end(body);
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the test server has no port');
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

async function answer(path: string): Promise<Answer> {
  if (path === '/') return { status: 200, type: 'text/html', body: page };
  // farfield/pattern -> dist/pattern/index.js, as the package's exports say.
  const face = /^\/dist\/faces\/(\w+)$/.exec(path)?.[1];
  if (face !== undefined) {
    return { status: 200, type: 'text/javascript', body: `export * from '/dist/${face}/index.js';\n` };
  }
  const prefix = Object.keys(folders).find((candidate) => path.startsWith(candidate));
  const folder = prefix === undefined ? undefined : folders[prefix];
  if (prefix === undefined || folder === undefined) return notFound(path);
  const name = normalize(decodeURIComponent(path.slice(prefix.length)));
  if (name.startsWith('..')) return notFound(path);
  try {
    const body = await readFile(join(root, folder, name));
    const extension = extname(name);
    return {
      status: 200,
      type: types[extension] ?? 'application/octet-stream',
      body: extension === '.ts' ? stripTypeScriptTypes(body.toString()) : body,
    };
  } catch {
    return notFound(path);
  }
}

function notFound(path: string): Answer {
  return { status: 404, type: 'text/plain', body: `no ${path} here\n` };
}

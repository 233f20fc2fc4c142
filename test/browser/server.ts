import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileServer, serveFiles } from '../../src/cli/serve-files.ts';
import { readFrom } from '../../src/cli/serve-folders.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The built package, the programs of the tests, and the packages that dist/ imports by name. */
const folders: Readonly<Record<string, string>> = {
  '/dist/': join(root, 'dist'),
  '/programs/': join(root, 'test/browser/programs'),
  '/node_modules/': join(root, 'node_modules'),
};

/** farfield/pattern -> /dist/pattern/index.js, as the package's exports say. */
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
};
const faces = Object.entries(exports).flatMap(([name, face]) =>
  typeof face === 'string' ? [] : [[join('farfield', name), join('/', face.default)]],
);

const imports = {
  ...Object.fromEntries(faces),
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

/** Serves the test page on this machine. Only a page that is `isolated` has SharedArrayBuffer, and thereby threads. */
export function startServer({ isolated }: { readonly isolated: boolean }): Promise<FileServer> {
  return serveFiles(find, { isIsolated: isolated });
}

async function find(path: string): Promise<string | Uint8Array | undefined> {
  if (path === '/index.html') return page;
  const body = await readFrom(folders, path);
  return body !== undefined && path.endsWith('.ts') ? stripTypeScriptTypes(new TextDecoder().decode(body)) : body;
}

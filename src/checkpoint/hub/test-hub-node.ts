/** For tests: a local HTTP server that answers as the Hugging Face hub does, and misbehaves where told. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const COMMIT = 'c0ffee'.padEnd(40, '0');
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

export interface SeenRequest {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** Answers one request instead of the hub; false leaves it to the hub. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse, content: Uint8Array) => boolean;

export class TestHub {
  /** Of the repository test/model, at `main` and COMMIT. Names that end in .safetensors, .gguf or .bin are stored with LFS. */
  readonly files = new Map<string, Uint8Array>();
  /** What the listing says of a file in the place of the truth. */
  readonly listed = new Map<string, { size?: number; digest?: string }>();
  readonly seen: SeenRequest[] = [];
  /** Of file requests (at the storage that large files redirect to, too), and of the API. */
  misbehave: Misbehaviour = () => false;
  misbehaveApi: Misbehaviour = () => false;
  endpoint = '';
  readonly #hub: Server;
  /** Another origin, as the storage of large files is. */
  readonly #storage: Server;
  #storageOrigin = '';

  constructor() {
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#storage = createServer((request, response) => this.#answer(request, response));
  }

  async start(): Promise<void> {
    this.endpoint = await listen(this.#hub);
    this.#storageOrigin = await listen(this.#storage);
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }

  /** The requests for contents, not the listing. */
  contentRequests(): SeenRequest[] {
    return this.seen.filter(({ path }) => path.startsWith('/storage/') || path.includes('/resolve/'));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
    const { range, authorization } = request.headers;
    this.seen.push({ path, range, authorization });
    if (path.startsWith('/api/')) {
      if (!this.misbehaveApi(request, response, new Uint8Array())) this.#answerApi(path, response);
      return;
    }
    const name = path.replace(/^\/storage\//, '').replace(`/test/model/resolve/${COMMIT}/`, '');
    const content = this.files.get(name);
    if (content === undefined) {
      refuse(response, 404, 'EntryNotFound');
      return;
    }
    if (isLarge(name) && !path.startsWith('/storage/')) {
      response.writeHead(302, { location: `${this.#storageOrigin}/storage/${name}`, 'x-linked-etag': sha256(content) });
      response.end();
      return;
    }
    if (this.misbehave(request, response, content)) return;
    sendContent(response, content, range);
  }

  #answerApi(path: string, response: ServerResponse): void {
    if (!path.startsWith('/api/models/test/model/')) {
      refuse(response, 404, 'RepoNotFound');
      return;
    }
    const known = ['main', 'v1', COMMIT];
    const [, kind = '', revision = ''] = /^\/api\/models\/test\/model\/(revision|tree)\/([^/]+)$/.exec(path) ?? [];
    if (!known.includes(revision)) {
      refuse(response, 404, 'RevisionNotFound');
      return;
    }
    if (kind === 'revision') {
      sendJson(response, { _id: '1', id: 'test/model', sha: COMMIT, lastModified: '2026-01-01T00:00:00Z' });
      return;
    }
    const entries = [...this.files].map(([name, content]) => {
      const { size = content.length, digest } = this.listed.get(name) ?? {};
      if (!isLarge(name)) return { type: 'file', path: name, size, oid: digest ?? gitSha1(content) };
      const lfs = { oid: digest ?? sha256(content), size, pointerSize: 130 };
      return { type: 'file', path: name, size, oid: '0'.repeat(40), lfs };
    });
    sendJson(response, entries);
  }
}

export function refuse(
  response: ServerResponse,
  status: number,
  code = '',
  headers: Record<string, string> = {},
): true {
  response.writeHead(status, { ...(code === '' ? {} : { 'x-error-code': code }), ...headers });
  response.end();
  return true;
}

/** The whole, or what a range asks for. */
export function sendContent(response: ServerResponse, content: Uint8Array, range: string | undefined): true {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  const length = content.length - from;
  const headers = { 'content-length': String(length) };
  if (range === undefined) response.writeHead(200, headers);
  else {
    const contentRange = `bytes ${from}-${content.length - 1}/${content.length}`;
    response.writeHead(206, { ...headers, 'content-range': contentRange });
  }
  response.end(content.subarray(from));
  return true;
}

/** Begins an answer that never comes. */
export function sendNothing(response: ServerResponse): true {
  response.writeHead(200);
  response.flushHeaders();
  return true;
}

function sendJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

function isLarge(name: string): boolean {
  return /\.(safetensors|gguf|bin)$/.test(name);
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

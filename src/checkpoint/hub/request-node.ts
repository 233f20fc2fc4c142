/** One request to the hub: the token, waiting and trying again, and refusals as errors that say what to do. */
import { setTimeout as sleep } from 'node:timers/promises';
import { counted } from '../../counted.ts';
import { HubError } from '../../errors.ts';
import { type HubSettings, tokenFile } from './settings-node.ts';

export interface HubClient extends HubSettings {
  readonly repository: string;
  readonly revision: string;
  readonly signal?: AbortSignal;
}

/** A longer wait than this many seconds is not waited for, but reported. */
const LONGEST_WAIT = 300;
/** There is nobody at the other end; asking again at once does not help. */
const NOBODY = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'CERT_HAS_EXPIRED']);

/**
 * Fetches `url` with the token, where the URL is the hub's own; fetch() leaves it out where the hub redirects to another host. Tries again
 * where the connection breaks, on 5xx and on 429, as long as the server says. Throws HubError for any other answer that is not a success.
 * `what` names the thing in errors.
 */
export async function hubFetch(
  client: HubClient,
  url: string,
  what: string,
  init: RequestInit = {},
): Promise<Response> {
  const { endpoint, token, retries, signal } = client;
  const headers = new Headers(init.headers);
  if (token !== undefined && new URL(url).origin === new URL(endpoint).origin) {
    try {
      headers.set('authorization', `Bearer ${token.value}`);
    } catch (cause) {
      throw new HubError('access', `the token from ${token.source} has characters that a token cannot have`, { cause });
    }
  }
  for (let tried = 0; ; tried++) {
    signal?.throwIfAborted();
    let response: Response;
    try {
      response = await fetch(url, { ...(signal === undefined ? {} : { signal }), ...init, headers });
    } catch (cause) {
      signal?.throwIfAborted();
      const reason = connectionFailure(cause);
      if (tried >= retries || NOBODY.has(reason)) {
        throw new HubError('unreachable', `${what}: ${endpoint} cannot be reached (${reason})`, { cause });
      }
      await wait(client, tried);
      continue;
    }
    if (response.ok) return response;
    const { status } = response;
    if (status !== 429 && status < 500) throw await refusal(client, response, what);
    const seconds = status === 429 ? secondsToWait(response.headers) : undefined;
    await response.body?.cancel();
    if (tried >= retries || (seconds ?? 0) > LONGEST_WAIT) {
      const asked = `asked ${tried + 1} ${tried === 0 ? 'time' : 'times'}`;
      if (status >= 500) throw new HubError('server', `${what}: ${endpoint} answers ${status} (${asked})`);
      const hint = token === undefined ? '; with a token the limit is higher' : '';
      const told = seconds === undefined ? '' : ` and says to wait ${counted(seconds, 'second')}`;
      throw new HubError('busy', `${what}: too many requests: ${endpoint} answers 429${told} (${asked})${hint}`);
    }
    await (seconds === undefined ? wait(client, tried) : pause(client, seconds * 1000));
  }
}

/** Waits before the next try, longer each time. */
export function wait(client: HubClient, tried: number): Promise<void> {
  return pause(client, client.retryDelay * 2 ** tried);
}

async function pause({ signal }: HubClient, milliseconds: number): Promise<void> {
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}

/** The innermost reason of fetch()'s "fetch failed". */
export function connectionFailure(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  if (!(inner instanceof Error)) return String(inner);
  return 'code' in inner && typeof inner.code === 'string' ? inner.code : inner.message;
}

/** Retry-After in seconds or as a date, or the hub's own RateLimit: "api";r=0;t=55. */
function secondsToWait(headers: Headers): number | undefined {
  const after = headers.get('retry-after') ?? /(?:^|;)\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
  if (after === undefined) return undefined;
  const seconds = /^\s*\d+\s*$/.test(after) ? Number(after) : (Date.parse(after) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined;
}

async function refusal(client: HubClient, response: Response, what: string): Promise<HubError> {
  const { repository, revision, endpoint, token } = client;
  const { status, headers } = response;
  const code = headers.get('x-error-code');
  const text = headers.get('x-error-message') ?? (await errorText(response));
  const said = text === '' ? '' : ` The hub says: ${text}`;
  const page = `${endpoint}/${repository}`;
  const asked =
    token === undefined
      ? `No token was sent: the option token, HF_TOKEN and ${tokenFile()} have none.`
      : `The token from ${token.source} was sent.`;
  if (code === 'GatedRepo') {
    return new HubError(
      'access',
      `${what}: access is gated: accept its terms at ${page} with your account. ${asked}${said}`,
    );
  }
  if (status === 401 && code === 'RepoNotFound') {
    const why = 'there is no such repository, or it is private and the hub does not show it';
    return new HubError(token === undefined ? 'absent' : 'access', `${what}: ${why} (401). ${asked}${said}`);
  }
  if (status === 401 || status === 403) {
    return new HubError('access', `${what}: access was refused (${status}). ${asked}${said}`);
  }
  if (status === 404) {
    const missing =
      code === 'RevisionNotFound'
        ? `the repository has no revision ${JSON.stringify(revision)}`
        : code === 'EntryNotFound'
          ? 'the repository has no such file'
          : `${endpoint} has no such repository, or it is private`;
    return new HubError('absent', `${what}: ${missing} (404). ${asked}${said}`);
  }
  return new HubError('server', `${what}: ${endpoint} answers ${status}.${said}`);
}

async function errorText(response: Response): Promise<string> {
  const text = await response.text().catch(() => '');
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null && 'error' in json) return String(json.error).slice(0, 300);
  } catch {
    // Pages of proxies are not JSON.
  }
  return '';
}

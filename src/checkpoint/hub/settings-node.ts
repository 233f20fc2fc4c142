/** Where the hub is, who asks, and where the cache lies: options, else the environment variables that Python's huggingface_hub reads. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { getHFHubCachePath } from '@huggingface/hub';
import { HubError } from '../../errors.ts';
import type { HubOptions } from './open-hub.ts';

export interface HubToken {
  readonly value: string;
  /** Where it was found, for errors. */
  readonly source: string;
}

export interface HubSettings {
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly token?: HubToken;
  readonly offline: boolean;
  readonly cache: string;
  readonly retries: number;
  readonly retryDelay: number;
  readonly stallTimeout: number;
}

export async function hubSettings(options: HubOptions): Promise<HubSettings> {
  const env = process.env;
  const endpoint = (options.endpoint ?? (env.HF_ENDPOINT || 'https://huggingface.co')).replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/.test(endpoint)) {
    throw new HubError('argument', `the hub's endpoint (HF_ENDPOINT) is ${JSON.stringify(endpoint)}; it must be a URL`);
  }
  const token = await findToken(options.token);
  return {
    endpoint,
    ...(token === undefined ? {} : { token }),
    offline: options.offline ?? (isOn(env.HF_HUB_OFFLINE) || isOn(env.TRANSFORMERS_OFFLINE)),
    cache: options.cache ?? getHFHubCachePath(),
    retries: options.retries ?? 4,
    retryDelay: options.retryDelay ?? 1000,
    stallTimeout: options.stallTimeout ?? 60_000,
  };
}

/** The file of `hf auth login`. */
export function tokenFile(): string {
  const { HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  const home = HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  return HF_TOKEN_PATH || join(home, 'token');
}

async function findToken(given: string | false | undefined): Promise<HubToken | undefined> {
  if (given === false) return undefined;
  if (given !== undefined) return { value: given.trim(), source: 'the option token' };
  if (isOn(process.env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const value = process.env[name]?.trim();
    if (value) return { value, source: `the environment variable ${name}` };
  }
  const file = tokenFile();
  const value = (await readFile(file, 'utf8').catch(() => '')).trim();
  return value === '' ? undefined : { value, source: file };
}

/** As Python's huggingface_hub reads its switches. */
function isOn(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? '');
}

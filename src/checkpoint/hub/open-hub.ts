/** Loading from the Hugging Face hub, through the cache that Python has. Works in Node; this file loads anywhere. */

export interface HubDownload {
  /** The file that is being read, relative to the repository. */
  readonly file: string;
  /** Bytes of all files that are here, and of all that are needed. */
  readonly done: number;
  readonly total: number;
  /** Of what this call has read so far. */
  readonly bytesPerSecond: number;
  readonly secondsLeft: number;
}

export interface HubOptions {
  /** A branch, a tag or a commit. Default: the one in the id (owner/name@revision), else 'main'. */
  readonly revision?: string;
  /** Default: HF_TOKEN, the file that HF_TOKEN_PATH names, or `token` in HF_HOME. `false` sends none. */
  readonly token?: string | false;
  /** Takes what the cache has and asks nobody. Default: HF_HUB_OFFLINE. */
  readonly offline?: boolean;
  /** Default: HF_ENDPOINT, else https://huggingface.co. */
  readonly endpoint?: string;
  /** The folder of the cache. Default: HF_HUB_CACHE, `hub` in HF_HOME, else ~/.cache/huggingface/hub. */
  readonly cache?: string;
  /** How often a request or a broken download is tried again without a byte of success. Default 4. */
  readonly retries?: number;
  /** Milliseconds before the first of these, doubled for each next one. Default 1000. */
  readonly retryDelay?: number;
  /** Milliseconds without a byte after which a connection counts as broken. Default 60,000. */
  readonly stallTimeout?: number;
  readonly onDownload?: (progress: HubDownload) => void;
}

export interface OpenHubOptions extends HubOptions {
  /**
   * 'model' (default): configuration, tokenizer and weights (the safetensors index and its shards, one .safetensors or .gguf file, or
   * .bin files where there is nothing else; of an id with a file, that file). 'tokenizer': no weights. Or the names of files.
   */
  readonly files?: 'model' | 'tokenizer' | readonly string[];
  readonly signal?: AbortSignal;
}

export interface OpenedHub {
  readonly repository: string;
  readonly commit: string;
  /** The snapshot, a local folder that all loaders take. */
  readonly folder: string;
  /** The weights, or the index of their shards; of an id with a file, that file. */
  readonly file?: string;
  /** What was asked for and is there now, relative to the folder. */
  readonly files: readonly string[];
  /** Whether the hub was not asked, or could not be reached, and the cache's last state was taken. */
  readonly offline: boolean;
}

/**
 * Brings the files of a model from the hub into the Hugging Face cache and says where they are. Each file is checked by the SHA-256 or
 * the git SHA-1 that the hub has on record, and has its name only when it is whole. What an earlier call left unfinished is continued.
 * `id` is owner/name, owner/name@revision or owner/name:file, with or without `hf:` before it. Needs Node.
 * @throws HubError, whose `failure` says why.
 */
export async function openHub(id: string, options: OpenHubOptions = {}): Promise<OpenedHub> {
  const { openHubInNode } = await import('./open-hub-node.ts');
  return openHubInNode(id, options);
}

import type { Feed, HostTensor } from './backend.ts';
import type { AttentionNode } from './ir.ts';

/** What an attention callback gets: this call's rows of q, k and v, and where to write. */
export interface AttentionInputs {
  /** Number of rows N in this call: all rows in full-length mode, the chunk's in streaming mode. */
  readonly rows: number;
  /** [N, H*D] */
  readonly q: Float32Array;
  /** [N, G*D], or [M, G*D] where the graph takes keys of another sequence as an input. */
  readonly k: Float32Array;
  /** [N, G*E], or [M, G*E] */
  readonly v: Float32Array;
  /** [N, H*D] where the graph computes it row by row, else [S, H*D]. */
  readonly sinkQuery?: Float32Array;
  /** [H] */
  readonly sinkLogits?: Float32Array;
  /** [N, H*E], to be written. Its content is undefined before. */
  readonly output: Float32Array;
  /** [N, H], to be written, where the node has a lse: natural log, -Infinity for a row that sees no key. */
  readonly lse?: Float32Array;
}

/**
 * Computes one attention node: writes `inputs.output` and returns nothing, or returns an array [N, H*E] of its own, which
 * must stay untouched until the next call. The views are valid until the promise settles; a KV cache copies what it keeps.
 */
export type AttentionCallback = (
  node: AttentionNode,
  inputs: AttentionInputs,
  // biome-ignore lint/suspicious/noConfusingVoidType: a callback that only writes `output` returns nothing
) => Promise<Float32Array | void> | Float32Array | void;

export interface CompileProgramOptions {
  /**
   * 'kept' (default): every dense segment is compiled at once and stays. 'streamed': a run compiles a segment, weights and all, when it
   * comes to it, and frees it when all rows have passed. The memory is then that of one segment's weights, the time that of reading
   * all of them for each run: for runs of many rows. What the backend refuses is found by the first run.
   */
  readonly weights?: 'kept' | 'streamed';
  /**
   * Lets a dense segment write over what it reads, through a copy of each chunk of rows: less memory for long texts. Default false,
   * which spares the copies where rows are few.
   */
  readonly inPlace?: boolean;
  /**
   * The input whose memory an attention node's output may take, where it is as wide and nothing else reads it: for callbacks that have
   * read it before they write there. Default: none.
   */
  readonly overwrites?: (node: AttentionNode) => 'q' | 'v' | undefined;
  /** After each stage that has been compiled. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
  /** Gives the buffers between stages, e.g. inside the kernels' shared memory. Default: `new Float32Array(floats)`. */
  readonly allocate?: (floats: number) => Float32Array;
  /** Takes back a buffer of `allocate` when a run needs larger ones, and at release. */
  readonly free?: (buffer: Float32Array) => void;
}

export interface RunChunkOptions {
  /**
   * How many of the last rows the segment after the last attention node computes; outputs that it makes have that many
   * rows. Default: all. 0 skips it, e.g. for the logits of every chunk of a prompt but the last.
   */
  readonly lastRows?: number;
  /** Where to write outputs of the graph, by name; an output that is absent here lies in the program's buffers. */
  readonly fetches?: Readonly<Record<string, HostTensor>>;
  readonly signal?: AbortSignal;
}

export interface RunOptions extends RunChunkOptions {
  readonly attention: AttentionCallback;
  /** Rows per call of a dense segment. Default 1024; 512 where weights are streamed. */
  readonly rowChunk?: number;
}

/** Outputs by name. They lie in the program's buffers and are valid until the next run, unless they were given in `fetches`. */
export type ProgramOutputs = Readonly<Record<string, HostTensor>>;

/** A compiled model: dense segments and attention nodes in the order of execution. Its runs must not overlap. */
export interface Program {
  readonly attentionNodes: readonly AttentionNode[];
  /** Floats that the buffers between stages take for each row of a call. */
  readonly floatsPerRow: number;
  /** Full length: dense segments in chunks of rows, attention once over all rows. `feeds` holds every input, row inputs with all rows. */
  run(feeds: Readonly<Record<string, Feed>>, options: RunOptions): Promise<ProgramOutputs>;
  /** Streaming: one chunk of rows through all stages. The callback owns the KV cache. */
  runChunk(
    feeds: Readonly<Record<string, Feed>>,
    attention: AttentionCallback,
    options?: RunChunkOptions,
  ): Promise<ProgramOutputs>;
  /** Frees the sessions and the buffers. */
  release(): Promise<void>;
}

import type { ElementArrays, ElementType, Graph } from './ir.ts';

/** A dense tensor in memory that JavaScript reads and writes. Row-major; `data.length` is the product of `shape`. */
export type HostTensor = {
  readonly [T in ElementType]: {
    readonly type: T;
    readonly data: ElementArrays[T];
    readonly shape: readonly number[];
  };
}[ElementType];

/** Rows of a float32 input [rows, ...] that are made when a dense segment reads them, so that they never all lie in memory. */
export interface RowSource {
  /** How many there are. */
  readonly length: number;
  /** Rows `from` to `to - 1`. The array must stay untouched until the next call. */
  readonly rows: (from: number, to: number) => Promise<Float32Array>;
}

/** What a program's input is given. */
export type Feed = HostTensor | RowSource;

export function isRowSource(feed: Feed): feed is RowSource {
  return 'rows' in feed;
}

export interface CompileOptions {
  /** Stops before the next initializer is loaded; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Computes every operator of this session on one thread. Backends whose threads are set for all sessions do not heed it. */
  readonly isSingleThreaded?: boolean;
  /** Frees what an engine copies of outputs at once, not when memory is collected: less memory, and more time in an allocator without an arena. */
  readonly freesCopies?: boolean;
}

/** Runs graphs of dense operators. */
export interface DenseBackend {
  readonly name: string;
  /** Whether tensors over a SharedArrayBuffer are read and written in place. Where false they work too, through a copy. */
  readonly acceptsSharedMemory: boolean;
  /** The most threads of one operator. */
  readonly threads: number;
  /** Loads the graph's initializers and prepares it. Throws DeviceError when the engine refuses the graph. */
  compile(graph: Graph, options?: CompileOptions): Promise<DenseSession>;
}

/** One compiled graph. */
export interface DenseSession {
  /**
   * Runs the graph. `feeds` holds every input by name; `fetches` holds a tensor for each output that is wanted, which is
   * written in place. Runs of one session must not overlap. A HostTensor that is passed again is not converted again,
   * so keep the objects where the buffers stay the same.
   */
  run(feeds: Readonly<Record<string, HostTensor>>, fetches: Readonly<Record<string, HostTensor>>): Promise<void>;
  /** Runs the graph and gives all its outputs in new tensors, for graphs whose shapes only the engine knows. */
  compute(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>>;
  /** Frees the engine's memory. Safe to call twice. */
  release(): Promise<void>;
}

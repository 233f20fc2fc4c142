/** What a training program is compiled and run with. */
import type { NumberType } from '../../attention/index.ts';
import type { HostTensor } from '../backend.ts';
import type { Value } from '../ir.ts';
import type { ProgramOutputs } from '../program.ts';
import type { AttentionPass } from './attention-pass.ts';
import type { NonFinite } from './non-finite.ts';
import type { Convert, StoredRows } from './row-storage.ts';
import type { Checkpoint } from './training-stages.ts';

export interface CompileTrainingOptions {
  /**
   * What is kept of the forward pass for the backward pass. 'none' (no checkpointing): every value that a gradient needs. 'attention': what goes
   * into and out of the attention nodes; the rest is computed again. 'layer' (default), or a number k: the inputs of every layer or of
   * every k layers, as Graph.boundaries mark them; the layers themselves, attention included, are computed again.
   */
  readonly checkpoint?: Checkpoint;
  /** Outputs whose gradients come in. Default: all. */
  readonly outputs?: readonly string[];
  /** Row inputs whose gradients are wanted beside those of the parameters. Default none. */
  readonly inputs?: readonly string[];
  /** The gradients of the outputs are told by the outputs: see StepPassOptions. Default false, which is faster. */
  readonly lateGradients?: boolean;
  /**
   * How rows are stored between operations: layers' inputs, queries, keys, values, attention's outputs, and the gradients of all these.
   * Segments and sums are float32, as are feeds, outputs, parameters and their gradients. Default 'f32'.
   */
  readonly precision?: NumberType;
  /** Converts rows of 16 bits, e.g. on the kernels. Default: in JavaScript. */
  readonly convert?: Convert;
  /** Gives buffers for what attention reads and writes and for all of 16 bits, e.g. in the kernels' shared memory; the rest lies in ordinary arrays. */
  readonly allocate?: (count: number, type: NumberType) => StoredRows;
  readonly free?: (buffer: StoredRows) => void;
  /** After each stage that has been compiled. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface PassOptions {
  /** Every row input, with all rows, by name. */
  readonly feeds: Readonly<Record<string, HostTensor>>;
  /** In the order of TrainingProgram.parameters. An array that is given again is read again, so it may have changed. */
  readonly parameters: readonly Float32Array[];
  readonly attention: AttentionPass;
  readonly signal?: AbortSignal;
}

export interface StepPassOptions extends PassOptions {
  /** The gradients of the outputs, by name; all rows. A function of the outputs where the program was compiled with `lateGradients`. */
  readonly outputGradients:
    | Readonly<Record<string, HostTensor>>
    | ((outputs: ProgramOutputs) => Readonly<Record<string, HostTensor>>);
  /** To which the gradients of the parameters are added, in the order of the parameters. */
  readonly gradients: readonly Float32Array[];
  /** Told once, of the first tensor that is not finite, in the order of computation. Looking takes time; default: nobody looks. */
  readonly onNonFinite?: (found: NonFinite) => void;
}

/** A model that can be trained, compiled. Runs must not overlap; what they give is valid until the next one. */
export interface TrainingProgram {
  /** The float inputs without rows. */
  readonly parameters: readonly Value[];
  /** Bytes that a step keeps for each row between its operations. */
  readonly bytesPerRow: number;
  /** Compiled sessions; layers of one structure share theirs. */
  readonly sessions: number;
  forward(options: PassOptions): Promise<ProgramOutputs>;
  /** Forward and backward. Sums over rows are in a fixed order, whatever the number of threads. */
  step(options: StepPassOptions): Promise<{
    readonly outputs: ProgramOutputs;
    /** By name, for the inputs that the program was compiled with. */
    readonly inputGradients: ProgramOutputs;
  }>;
  release(): Promise<void>;
}

/** The tensors of an encoder's checkpoint, checked against what its graph asks for. */
import { type Checkpoint, readFloat32, toFloat32 } from '../../checkpoint/index.ts';
import { CheckpointError } from '../../errors.ts';

/** Buffers that some writers store beside the weights; the ids are counted here. */
const IGNORED = /(^|\.)(position_ids|token_type_ids|rotary_emb\.inv_freq)$/;

/** The first versions of BERT were converted from TensorFlow, with its names for a norm's weight and bias. */
const OLD_NAMES: Readonly<Record<string, string>> = { gamma: 'weight', beta: 'bias' };

export interface TensorSource {
  readonly checkpoint: Checkpoint;
  /** What errors call the file. */
  readonly source: string;
  /** The name that a model class with a head gives its encoder: "bert" in `bert.encoder.layer.0...`. */
  readonly prefix: string;
  /** Starts of the names of heads. A head that this run does not use may lie in the file. */
  readonly headNames: readonly string[];
}

/** A tensor by its name in the file, and what reads it. */
export interface AskedTensor<Data> {
  readonly name: string;
  readonly load: () => Promise<Data>;
}

/**
 * Tensors by the names of the bare encoder ("encoder.layer.0..."), whether or not the file has the prefix. The graph asks for each by
 * name and shape; check() then compares what was asked for with what there is.
 */
export class EncoderTensors {
  readonly #source: TensorSource;
  /** By the name without the prefix: the name in the file. */
  readonly #stored = new Map<string, string>();
  readonly #asked = new Set<string>();
  readonly #missing: string[] = [];

  constructor(source: TensorSource) {
    this.#source = source;
    for (const stored of source.checkpoint.names()) {
      const own = stored.startsWith(`${source.prefix}.`) ? stored.slice(source.prefix.length + 1) : stored;
      const last = own.slice(own.lastIndexOf('.') + 1);
      this.#stored.set(own.slice(0, own.length - last.length) + (OLD_NAMES[last] ?? last), stored);
    }
  }

  has(name: string): boolean {
    return this.#stored.has(name);
  }

  /** The shape in the file; undefined where there is no such tensor. */
  shapeOf(name: string): readonly number[] | undefined {
    const stored = this.#stored.get(name);
    return stored === undefined ? undefined : this.#source.checkpoint.info(stored).shape;
  }

  /**
   * Asks for a tensor. Gives its name in the file and what reads it; a tensor that is not there is reported by check().
   * @throws CheckpointError where it has another shape.
   */
  ask(name: string, shape: readonly number[]): AskedTensor<Float32Array> {
    return this.#ask(name, shape, readFloat32);
  }

  /** Asks for a tensor [rows, ...]. Gives what reads `count` rows of it from row `first` on. */
  askRows(name: string, shape: readonly number[]): (first: number, count: number) => Promise<Float32Array> {
    const { checkpoint } = this.#source;
    const { name: stored } = this.ask(name, shape);
    return async (first, count) => toFloat32(await checkpoint.readRows(stored, first, count));
  }

  /** The same, for the bytes of a tensor as it is stored. */
  askStored(name: string, shape: readonly number[]): AskedTensor<Uint8Array> {
    return this.#ask(name, shape, async (checkpoint, stored) => (await checkpoint.read(stored)).data);
  }

  #ask<Data>(
    name: string,
    shape: readonly number[],
    read: (checkpoint: Checkpoint, stored: string) => Promise<Data>,
  ): AskedTensor<Data> {
    const { checkpoint, source } = this.#source;
    this.#asked.add(name);
    const stored = this.#stored.get(name);
    if (stored === undefined) {
      if (!this.#missing.includes(name)) this.#missing.push(name);
      return { name, load: () => Promise.reject(new CheckpointError(`${source}: no tensor "${name}"`)) };
    }
    const found = checkpoint.info(stored).shape;
    if (found.join() !== shape.join()) {
      throw new CheckpointError(
        `${source}: tensor ${stored} has shape [${found.join(', ')}]; its configuration says [${shape.join(', ')}]`,
      );
    }
    return { name: stored, load: () => read(checkpoint, stored) };
  }

  /** Says that a tensor may be there and is not needed, such as a stored copy of a tied one. */
  allow(name: string): void {
    this.#asked.add(name);
  }

  /** @throws CheckpointError that lists the tensors that are missing and those that do not belong to the model. */
  check(): void {
    const { source, headNames } = this.#source;
    const headOf = (name: string) => headNames.find((start) => name.startsWith(start));
    const isUnusedHead = (name: string) => {
      const head = headOf(name);
      return head !== undefined && ![...this.#asked].some((asked) => asked.startsWith(head));
    };
    const unexpected = [...this.#stored]
      .filter(([name]) => !this.#asked.has(name) && !IGNORED.test(name) && !isUnusedHead(name))
      .map(([, stored]) => stored);
    if (this.#missing.length === 0 && unexpected.length === 0) return;
    const parts = [list('are missing', this.#missing), list('do not belong to the model', unexpected)];
    const lacksHead = unexpected.length === 0 && this.#missing.every((name) => headOf(name) !== undefined);
    const hint = lacksHead ? '; the checkpoint has no head for this task: take one that was trained for it' : '';
    throw new CheckpointError(
      `${source}: the tensors are not those of its configuration: ${parts.filter(Boolean).join('; ')}${hint}`,
    );
  }
}

function list(what: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const some = names.slice(0, 8).join(', ');
  return `${names.length} ${what} (${some}${names.length > 8 ? ', ...' : ''})`;
}

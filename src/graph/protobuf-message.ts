/** Bytes that are read when the message is put together. */
export interface LatePiece {
  readonly byteLength: number;
  readonly load: () => Promise<Uint8Array>;
}

/**
 * A Protocol Buffers message being written (Protocol Buffers documentation, "Encoding"): pieces that are joined once at the end, so
 * that a weight is copied once, into the file, and no two need be in memory beside it. Wire types: 0 varint, 2 length-delimited, 5 four bytes.
 */
export class Message {
  readonly pieces: (Uint8Array | LatePiece)[] = [];
  size = 0;

  bytes(field: number, data: Uint8Array | LatePiece): this {
    return this.#key(field, 2).#varint(data.byteLength).#piece(data);
  }

  text(field: number, text: string): this {
    return this.bytes(field, new TextEncoder().encode(text));
  }

  message(field: number, inner: Message): this {
    this.#key(field, 2).#varint(inner.size);
    for (const piece of inner.pieces) this.pieces.push(piece);
    this.size += inner.size;
    return this;
  }

  integer(field: number, value: number): this {
    return this.#key(field, 0).#varint(value);
  }

  float(field: number, value: number): this {
    return this.#key(field, 5).#piece(new Uint8Array(Float32Array.of(value).buffer));
  }

  /** All pieces in one array, where each is there already. */
  join(): Uint8Array {
    return this.#join([]);
  }

  /** All pieces in one array. `signal` stops before the next one is loaded. */
  async load(signal?: AbortSignal): Promise<Uint8Array> {
    const late: { readonly piece: LatePiece; readonly offset: number }[] = [];
    const joined = this.#join(late);
    for (const { piece, offset } of late) {
      signal?.throwIfAborted();
      joined.set(await piece.load(), offset);
    }
    return joined;
  }

  #join(late: { piece: LatePiece; offset: number }[]): Uint8Array {
    const joined = new Uint8Array(this.size);
    let offset = 0;
    for (const piece of this.pieces) {
      if (piece instanceof Uint8Array) joined.set(piece, offset);
      else late.push({ piece, offset });
      offset += piece.byteLength;
    }
    return joined;
  }

  #key(field: number, wire: number): this {
    return this.#varint(field * 8 + wire);
  }

  /** Base 128, low groups first; a negative number as its 64-bit two's complement. */
  #varint(value: number): this {
    const groups: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) {
      groups.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    groups.push(Number(rest));
    return this.#piece(Uint8Array.from(groups));
  }

  #piece(data: Uint8Array | LatePiece): this {
    this.pieces.push(data);
    this.size += data.byteLength;
    return this;
  }
}

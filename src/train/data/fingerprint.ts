/** A fingerprint of bytes that arrive in pieces: XXH32 (Collet, "xxHash fast digest algorithm", revision 0.1.1). */

const PRIME1 = 0x9e3779b1 | 0;
const PRIME2 = 0x85ebca77 | 0;
const PRIME3 = 0xc2b2ae3d | 0;
const PRIME4 = 0x27d4eb2f;
const PRIME5 = 0x165667b1;

/** Bytes that the four lanes take at once. */
const STRIPE = 16;

/** Notices that a file changed; it does not protect against somebody who means to deceive. */
export class Fingerprint {
  readonly #lanes: Int32Array;
  readonly #seed: number;
  readonly #rest = new Uint8Array(STRIPE);
  #restLength = 0;
  #total = 0;

  constructor(seed = 0) {
    this.#seed = seed | 0;
    this.#lanes = Int32Array.of(seed + PRIME1 + PRIME2, seed + PRIME2, seed, seed - PRIME1);
  }

  update(bytes: Uint8Array): void {
    this.#total += bytes.length;
    let at = 0;
    if (this.#restLength > 0) {
      at = Math.min(STRIPE - this.#restLength, bytes.length);
      this.#rest.set(bytes.subarray(0, at), this.#restLength);
      this.#restLength += at;
      if (this.#restLength < STRIPE) return;
      this.#consume(this.#rest, 0, STRIPE);
      this.#restLength = 0;
    }
    const end = bytes.length - ((bytes.length - at) % STRIPE);
    this.#consume(bytes, at, end);
    this.#rest.set(bytes.subarray(end));
    this.#restLength = bytes.length - end;
  }

  /** The 32 bits of all bytes so far; more may follow. */
  digest(): number {
    const [a, b, c, d] = this.#lanes;
    let hash =
      this.#total >= STRIPE
        ? (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0
        : (this.#seed + PRIME5) | 0;
    hash = (hash + this.#total) | 0;
    let at = 0;
    for (; at + 4 <= this.#restLength; at += 4) {
      hash = Math.imul(rotate((hash + Math.imul(word(this.#rest, at), PRIME3)) | 0, 17), PRIME4);
    }
    for (; at < this.#restLength; at++) {
      hash = Math.imul(rotate((hash + Math.imul(this.#rest[at], PRIME5)) | 0, 11), PRIME1);
    }
    hash = Math.imul(hash ^ (hash >>> 15), PRIME2);
    hash = Math.imul(hash ^ (hash >>> 13), PRIME3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  #consume(bytes: Uint8Array, from: number, to: number): void {
    let [a, b, c, d] = this.#lanes;
    for (let at = from; at < to; at += STRIPE) {
      a = Math.imul(rotate((a + Math.imul(word(bytes, at), PRIME2)) | 0, 13), PRIME1);
      b = Math.imul(rotate((b + Math.imul(word(bytes, at + 4), PRIME2)) | 0, 13), PRIME1);
      c = Math.imul(rotate((c + Math.imul(word(bytes, at + 8), PRIME2)) | 0, 13), PRIME1);
      d = Math.imul(rotate((d + Math.imul(word(bytes, at + 12), PRIME2)) | 0, 13), PRIME1);
    }
    this.#lanes.set([a, b, c, d]);
  }
}

/** Eight hexadecimal digits. */
export function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}

/** 64 bits of a text, as 16 hexadecimal digits: two hashes with different seeds. */
export function textFingerprint(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return [0, 1]
    .map((seed) => {
      const fingerprint = new Fingerprint(seed);
      fingerprint.update(bytes);
      return hex(fingerprint.digest());
    })
    .join('');
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

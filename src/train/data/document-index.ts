/** The list of documents: all that a data set keeps in memory, 20 bytes for a document. */
export class DocumentIndex {
  #count = 0;
  #file = new Uint32Array(64);
  #offset = new Float64Array(64);
  #length = new Float64Array(64);

  get count(): number {
    return this.#count;
  }

  /** The number of the file that document `i` lies in. */
  file(i: number): number {
    return this.#file[i];
  }

  /** Where it starts in its file. */
  offset(i: number): number {
    return this.#offset[i];
  }

  length(i: number): number {
    return this.#length[i];
  }

  add(file: number, offset: number, length: number): void {
    if (this.#count === this.#file.length) this.#grow();
    this.#file[this.#count] = file;
    this.#offset[this.#count] = offset;
    this.#length[this.#count] = length;
    this.#count++;
  }

  #grow(): void {
    const capacity = this.#file.length * 2;
    const [file, offset, length] = [this.#file, this.#offset, this.#length];
    this.#file = new Uint32Array(capacity);
    this.#offset = new Float64Array(capacity);
    this.#length = new Float64Array(capacity);
    this.#file.set(file);
    this.#offset.set(offset);
    this.#length.set(length);
  }
}

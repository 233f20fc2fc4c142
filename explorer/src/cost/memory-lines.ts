/** Memory of devices, as lines to hold a curve against. All of it: what the system and a model's weights take is not subtracted. */
export interface MemoryLine {
  readonly name: string;
  readonly bytes: number;
}

const GB = 1e9;

export const MEMORY_LINES: readonly MemoryLine[] = [
  { name: 'Phone, 8 GB', bytes: 8 * GB },
  { name: 'Laptop, 16 GB', bytes: 16 * GB },
  { name: 'GPU, 80 GB', bytes: 80 * GB },
];

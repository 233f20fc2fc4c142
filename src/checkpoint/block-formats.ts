/** The quantized types by name. */
import type { BlockFormat } from './block-format.ts';
import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from './blocks-of-32.ts';
import { IQ4_XS, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from './blocks-of-256.ts';
import type { QuantizedType, StorageType } from './storage-type.ts';

const FORMATS: ReadonlyMap<StorageType, BlockFormat> = new Map(
  Object.entries({
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_NL,
    IQ4_XS,
    MXFP4,
  } satisfies Record<QuantizedType, BlockFormat>) as [QuantizedType, BlockFormat][],
);

/** How a quantized type packs its numbers, or undefined for a type that is not quantized. */
export function blockFormat(type: StorageType): BlockFormat | undefined {
  return FORMATS.get(type);
}

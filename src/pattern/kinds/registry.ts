import { allows } from '../allows.ts';
import type { FamilyPattern, Pattern } from '../pattern.ts';
import { ballDefinition } from './ball.ts';
import { blockLocalDefinition, blockPermutationDefinition, blocksDefinition } from './block.ts';
import { aShapeDefinition, prefixLmDefinition, transientGlobalDefinition, verticalSlashDefinition } from './decoder.ts';
import type { KindDefinition } from './definition.ts';
import { axialDefinition, neighbourhoodDefinition, shiftedWindowsDefinition } from './grid.ts';
import { bigBirdDefinition, randomBlocksDefinition, randomTokensDefinition } from './random.ts';
import { documentsDefinition, groupsDefinition, orderedDefinition, shiftDefinition } from './sequence.ts';
import { fixedDefinition, stridedDefinition } from './sparse-transformer.ts';
import { columnsDefinition, diagonalsDefinition, rowsDefinition, sameCoordinateDefinition } from './stripes.ts';

type FamilyKind = FamilyPattern['kind'];

/** What there is to know of every kind that kinds/ defines. A new kind is a new line here and in FamilyPattern. */
export const FAMILIES: { readonly [K in FamilyKind]: KindDefinition<Extract<FamilyPattern, { kind: K }>> } = {
  columns: columnsDefinition,
  rows: rowsDefinition,
  diagonals: diagonalsDefinition,
  sameCoordinate: sameCoordinateDefinition,
  strided: stridedDefinition,
  fixed: fixedDefinition,
  blockLocal: blockLocalDefinition,
  blocks: blocksDefinition,
  blockPermutation: blockPermutationDefinition,
  randomTokens: randomTokensDefinition,
  randomBlocks: randomBlocksDefinition,
  bigBird: bigBirdDefinition,
  axial: axialDefinition,
  neighbourhood: neighbourhoodDefinition,
  shiftedWindows: shiftedWindowsDefinition,
  ball: ballDefinition,
  documents: documentsDefinition,
  groups: groupsDefinition,
  ordered: orderedDefinition,
  shift: shiftDefinition(allows),
  prefixLm: prefixLmDefinition,
  aShape: aShapeDefinition,
  verticalSlash: verticalSlashDefinition,
  transientGlobal: transientGlobalDefinition,
};

export const FAMILY_KINDS = Object.keys(FAMILIES) as readonly FamilyKind[];

export function isFamilyKind(kind: unknown): kind is FamilyKind {
  return typeof kind === 'string' && Object.hasOwn(FAMILIES, kind);
}

export function isFamily(pattern: Pattern): pattern is FamilyPattern {
  return isFamilyKind(pattern.kind);
}

/** The definition of a pattern's own kind. */
export function definitionOf<P extends FamilyPattern>(pattern: P): KindDefinition<P> {
  return FAMILIES[pattern.kind] as unknown as KindDefinition<P>;
}

/** The same pairs in simpler kinds; undefined for a kind that is compiled as it is. */
export function expand(pattern: FamilyPattern): Pattern | undefined {
  return definitionOf(pattern).expand?.(pattern);
}

import fc from 'fast-check';
import { arbitraryFamily } from './arbitrary-family.ts';
import type { Pattern } from './pattern.ts';

/** Random patterns for property tests. `reach` bounds every parameter; perHead stands at most once on each path. */
export function arbitraryPattern(reach = 200, maxDilation = 130): fc.Arbitrary<Pattern> {
  return fc.oneof(
    { weight: 4, arbitrary: tree(reach, maxDilation) },
    { weight: 1, arbitrary: perHeadOf(tree(reach, maxDilation)) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('union' as const, 'intersect' as const),
        of: fc
          .tuple(tree(reach, maxDilation), perHeadOf(tree(reach, maxDilation)))
          .map((parts) => parts as readonly Pattern[]),
      }),
    },
  );
}

function perHeadOf(part: fc.Arbitrary<Pattern>): fc.Arbitrary<Pattern> {
  return fc.array(part, { minLength: 1, maxLength: 3 }).map((heads) => ({ kind: 'perHead', heads }) as const);
}

function tree(reach: number, maxDilation: number): fc.Arbitrary<Pattern> {
  const { pattern } = fc.letrec<{ pattern: Pattern; leaf: Pattern; inner: Pattern }>((tie) => ({
    pattern: fc.oneof({ maxDepth: 2, depthIdentifier: 'pattern' }, tie('leaf'), tie('inner')),
    leaf: fc.oneof(
      { weight: 3, arbitrary: arbitraryLeaf(reach, maxDilation) },
      { weight: 2, arbitrary: arbitraryFamily(reach) },
    ),
    inner: fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constantFrom('union' as const, 'intersect' as const),
          of: fc.array(tie('pattern'), { minLength: 1, maxLength: 3, depthIdentifier: 'pattern' }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('complement' as const), of: tie('pattern') }) },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('shift' as const),
          queries: fc.integer({ min: -reach, max: reach }),
          keys: fc.integer({ min: -reach, max: reach }),
          of: tie('pattern'),
        }),
      },
    ),
  }));
  return pattern;
}

/** Windows, sinks, global tokens and the like: the kinds of pattern.ts. */
export function arbitraryLeaf(reach = 200, maxDilation = 130): fc.Arbitrary<Pattern> {
  const length = fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: reach }));
  return fc.oneof(
    fc.constant<Pattern>({ kind: 'dense' }),
    fc.constant<Pattern>({ kind: 'causal' }),
    fc.record({ kind: fc.constant('window' as const), left: length, right: length }),
    fc.record({
      kind: fc.constant('window' as const),
      left: length,
      right: length,
      dilation: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: maxDilation })),
    }),
    fc.record({ kind: fc.constant('sinks' as const), count: length }),
    fc.record(
      {
        kind: fc.constant('global' as const),
        positions: fc.oneof(
          fc.array(length, { maxLength: 5 }),
          fc.tuple(length, length).map(([start, count]) => Array.from({ length: count }, (_, i) => start + i)),
        ),
        direction: fc.constantFrom('both' as const, 'keys' as const, 'queries' as const),
      },
      { requiredKeys: ['kind', 'positions'] },
    ),
  );
}

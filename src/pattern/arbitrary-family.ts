import fc from 'fast-check';
import type { FamilyPattern, Pattern } from './pattern.ts';

/** Random patterns of the kinds that kinds/ defines but shift, with parameters that fit each other, for some `reach` tokens. */
export function arbitraryFamily(reach = 200): fc.Arbitrary<Pattern> {
  return fc.oneof(...Object.values(arbitraryFamilies(reach)));
}

/** The same by kind. */
export function arbitraryFamilies(reach = 200): Record<Exclude<FamilyPattern['kind'], 'shift'>, fc.Arbitrary<Pattern>> {
  const length = fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: reach }));
  const side = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 80 }), fc.constantFrom(16, 64, 128));
  const few = fc.nat({ max: 3 });
  const seed = fc.oneof(fc.nat({ max: 9 }), fc.maxSafeNat());
  const flag = fc.option(fc.constant(true as const), { nil: undefined });
  const table = fc.array(fc.array(fc.nat({ max: 12 }), { maxLength: 4 }), { maxLength: 12 });
  const grid = fc.oneof(
    fc.array(fc.integer({ min: 1, max: reach }), { minLength: 1, maxLength: 1 }),
    fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 2 }),
    fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 3, maxLength: 4 }),
  );
  /** One number for each axis. */
  const eachAxis = (sizes: readonly number[], least: number, most: number) =>
    fc.array(fc.integer({ min: least, max: most }), { minLength: sizes.length, maxLength: sizes.length });
  const stripes = fc.record({ start: few, count: length, rest: fc.option(length, { nil: undefined }) });
  const striped = (kind: 'columns' | 'rows') =>
    stripes.map(({ start, count, rest }) => ({
      kind,
      start,
      count,
      ...(rest === undefined ? {} : { period: Math.max(1, start + count + rest) }),
    }));

  const kinds = {
    columns: striped('columns'),
    rows: striped('rows'),
    diagonals: fc.record({
      kind: fc.constant('diagonals'),
      offsets: fc.array(fc.integer({ min: -reach, max: reach }), { maxLength: 6 }),
    }),
    sameCoordinate: fc.record({ width: side, times: fc.integer({ min: 1, max: 6 }) }).map(({ width, times }) => ({
      kind: 'sameCoordinate',
      period: width * times,
      width,
    })),
    strided: fc.record({ kind: fc.constant('strided'), stride: side }),
    fixed: fc.record({ summary: few, offset: few, rest: side }).map(({ summary, offset, rest }) => ({
      kind: 'fixed',
      stride: summary + offset + rest,
      summary,
      ...(offset === 0 ? {} : { offset }),
    })),
    blockLocal: fc.record(
      { kind: fc.constant('blockLocal'), block: side, back: few, ahead: few },
      { requiredKeys: ['kind', 'block'] },
    ),
    blocks: fc.record({ kind: fc.constant('blocks'), block: side, table }),
    blockPermutation: fc
      .record({ block: side, order: fc.array(fc.nat(), { maxLength: 8 }) })
      .map(({ block, order }) => ({
        kind: 'blockPermutation',
        block,
        permutation: order.map((_, i) => i).sort((a, b) => (order[a] ?? 0) - (order[b] ?? 0) || a - b),
      })),
    randomTokens: fc.record(
      { kind: fc.constant('randomTokens'), count: few, seed, length, perHead: fc.constant(true) },
      { requiredKeys: ['kind', 'count', 'seed'] },
    ),
    randomBlocks: fc.record(
      {
        kind: fc.constant('randomBlocks'),
        block: side,
        count: few,
        seed,
        blocks: fc.nat({ max: 20 }),
        window: fc.nat({ max: 5 }),
        global: few,
        perHead: fc.constant(true),
      },
      { requiredKeys: ['kind', 'block', 'count', 'seed'] },
    ),
    bigBird: fc
      .record({
        block: side,
        window: fc.nat({ max: 5 }),
        global: few,
        random: few,
        seed,
        blocks: few,
        flag,
        table,
        given: fc.boolean(),
      })
      .map(({ block, window, global, random, seed, blocks, flag, table, given }) => ({
        kind: 'bigBird',
        block,
        window,
        global,
        ...(given ? { table } : { random, seed, ...(blocks === 0 ? {} : { blocks: 7 * blocks }) }),
        ...(!given && flag ? { perHead: flag } : {}),
      })),
    axial: grid.chain((sizes) =>
      fc.record({
        kind: fc.constant('axial'),
        grid: fc.constant(sizes),
        axes: fc.array(fc.uniqueArray(fc.nat({ max: sizes.length - 1 }), { minLength: 1 }), {
          minLength: 1,
          maxLength: 3,
        }),
      }),
    ),
    neighbourhood: grid.chain((sizes) =>
      fc
        .record({
          dilation: eachAxis(sizes, 1, 3),
          radius: eachAxis(sizes, 0, 4),
          clamp: fc.boolean(),
          plain: fc.boolean(),
          tile: fc.option(eachAxis(sizes, 1, 20), { nil: undefined }),
        })
        .map(({ dilation, radius, clamp, plain, tile }) => {
          const steps = sizes.map((size, i) => (clamp ? Math.min(size, dilation[i] ?? 1) : (dilation[i] ?? 1)));
          const most = sizes.map((size, i) => Math.floor((Math.floor(size / (plain ? 1 : (steps[i] ?? 1))) - 1) / 2));
          return {
            kind: 'neighbourhood',
            grid: sizes,
            radius: radius.map((own, i) => (clamp ? Math.min(own, most[i] ?? 0) : own)),
            ...(plain ? {} : { dilation: steps }),
            ...(clamp ? { border: 'clamp' } : {}),
            ...(tile === undefined ? {} : { tile: tile.map((side, i) => (sizes[i] % side === 0 ? side : 1)) }),
          };
        }),
    ),
    shiftedWindows: grid.chain((sizes) =>
      fc
        .record({ window: eachAxis(sizes, 1, 9), shift: eachAxis(sizes, 0, 8), plain: fc.boolean() })
        .map(({ window, shift, plain }) => ({
          kind: 'shiftedWindows',
          grid: sizes,
          window,
          ...(plain ? {} : { shift: shift.map((own, i) => own % (window[i] ?? 1)) }),
        })),
    ),
    ball: fc.record({
      kind: fc.constant('ball'),
      grid,
      power: fc.integer({ min: 1, max: 3 }),
      limit: fc.nat({ max: 40 }),
    }),
    documents: fc
      .record({
        lengths: fc.array(length, { maxLength: 6 }),
        gaps: fc.array(few, { minLength: 6, maxLength: 6 }),
        packed: fc.boolean(),
      })
      .map(({ lengths, gaps, packed }) => {
        let next = 0;
        const starts = lengths.map((own, i) => {
          const start = next + (gaps[i] ?? 0);
          next = start + own;
          return start;
        });
        return { kind: 'documents', lengths, ...(packed ? {} : { starts }) };
      }),
    groups: fc.record({
      kind: fc.constant('groups'),
      ids: fc.array(fc.integer({ min: -1, max: 3 }), { maxLength: reach }),
    }),
    ordered: fc.record({
      kind: fc.constant('ordered'),
      positions: fc.array(fc.integer({ min: -5, max: reach }), { maxLength: reach }),
    }),
    prefixLm: fc.record({ kind: fc.constant('prefixLm'), prefix: length }),
    aShape: fc.record({ kind: fc.constant('aShape'), sinks: length, window: length }),
    verticalSlash: fc.record({
      kind: fc.constant('verticalSlash'),
      vertical: fc.array(length, { maxLength: 5 }),
      slash: fc.array(length, { maxLength: 5 }),
    }),
    transientGlobal: fc.record({ kind: fc.constant('transientGlobal'), summaries: length, radius: length }),
  };
  return kinds as Record<keyof typeof kinds, fc.Arbitrary<object>> as Record<keyof typeof kinds, fc.Arbitrary<Pattern>>;
}

/** Operators that make shapes, and those that move elements without computing with them (ONNX, "Operators"). */
import { compare, type Expression, integer, isBelow, truth, unknown, where } from './expression.ts';
import { constant, constantOf, divide, minus, type Polynomial, plus, times } from './polynomial.ts';
import type { NodeView, Rule } from './rule.ts';
import {
  broadcastIndex,
  broadcastShapes,
  constantTensor,
  countOf,
  integersOf,
  isOne,
  isSameShape,
  listTensor,
  numbersOf,
  Query,
  ravel,
  type SymbolicTensor,
  unravel,
} from './symbolic-tensor.ts';

const at0 = constant(0);

/** The first operand's elements at other indices; `shape` undefined where it is not known. */
function moved(
  view: NodeView,
  shape: readonly Polynomial[] | undefined,
  place: (index: readonly Polynomial[], extents: ReadonlyMap<string, Polynomial>) => readonly Polynomial[] | undefined,
): SymbolicTensor[] {
  const [x] = view.inputs;
  return [
    {
      type: x?.type,
      shape,
      at(index, query) {
        query.step();
        const from = x?.shape === undefined || shape === undefined ? undefined : place(index, query.extents);
        return x === undefined || from === undefined
          ? unknown(`elements of ${view.node.operator} ${view.node.name} cannot be followed`)
          : x.at(from, query);
      },
    },
  ];
}

function nothing(view: NodeView): SymbolicTensor[] {
  return moved(view, undefined, () => undefined);
}

/** An axis counted from the end where negative. */
function positive(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Axes as an input (opset 13) or an attribute. */
function axesOf(view: NodeView): readonly number[] | undefined {
  return view.node.inputs[1] ? numbersOf(view.inputs[1]) : view.attribute('axes', 'ints');
}

function reshaped(view: NodeView, shape: readonly Polynomial[] | undefined): SymbolicTensor[] {
  const from = view.inputs[0]?.shape;
  if (shape === undefined || from === undefined) return moved(view, shape, () => undefined);
  if (isSameShape(shape, from)) return moved(view, shape, (index) => index);
  return moved(view, shape, (index, extents) => unravel(from, ravel(shape, index), extents));
}

function reshape(view: NodeView): SymbolicTensor[] {
  const wanted = integersOf(view.inputs[1]);
  if (wanted === undefined) return nothing(view);
  const from = view.inputs[0]?.shape;
  const copiesZero = view.int('allowzero', 0) === 0;
  const sides = wanted.map((side, axis) =>
    copiesZero && side !== undefined && constantOf(side) === 0 ? from?.[axis] : side,
  );
  const inferred = sides.findIndex((side) => side !== undefined && constantOf(side) === -1);
  if (inferred !== -1) {
    const others = sides.filter((_, axis) => axis !== inferred);
    const known = others.every((side) => side !== undefined);
    const parts = known && from !== undefined ? divide(countOf(from), countOf(others)) : undefined;
    sides[inferred] = parts?.remainder.size === 0 ? parts.quotient : undefined;
  }
  return reshaped(view, named(view, sides));
}

/** Dimensions that are not known get a symbol of their own, so that the number of axes stays known. */
function named(view: NodeView, sides: readonly (Polynomial | undefined)[]): Polynomial[] {
  return sides.map((side, axis) => side ?? new Map([[`${view.node.outputs[0]}.${axis}`, 1]]));
}

function flatten(view: NodeView): SymbolicTensor[] {
  const from = view.inputs[0]?.shape;
  if (from === undefined) return nothing(view);
  const axis = positive(view.int('axis', 1), from.length);
  return reshaped(view, [countOf(from.slice(0, axis)), countOf(from.slice(axis))]);
}

function unsqueeze(view: NodeView): SymbolicTensor[] {
  const from = view.inputs[0]?.shape;
  const axes = axesOf(view);
  if (from === undefined || axes === undefined) return nothing(view);
  const rank = from.length + axes.length;
  const added = new Set(axes.map((axis) => positive(axis, rank)));
  const rest = [...from];
  const shape = Array.from({ length: rank }, (_, axis) =>
    added.has(axis) ? constant(1) : (rest.shift() ?? constant(1)),
  );
  return moved(view, shape, (index) => index.filter((_, axis) => !added.has(axis)));
}

function squeeze(view: NodeView): SymbolicTensor[] {
  const from = view.inputs[0]?.shape;
  if (from === undefined) return nothing(view);
  const given = axesOf(view);
  if (given === undefined && (view.node.inputs[1] || from.some((side) => constantOf(side) === undefined)))
    return nothing(view);
  const axes = given ?? [...from.keys()].filter((axis) => isOne(from[axis]));
  const removed = new Set(axes.map((axis) => positive(axis, from.length)));
  const shape = from.filter((_, axis) => !removed.has(axis));
  return moved(view, shape, (index) => {
    const rest = [...index];
    return from.map((_, axis) => (removed.has(axis) ? at0 : (rest.shift() ?? at0)));
  });
}

function transpose(view: NodeView): SymbolicTensor[] {
  const from = view.inputs[0]?.shape;
  if (from === undefined) return nothing(view);
  const order = view.attribute('perm', 'ints') ?? [...from.keys()].reverse();
  return moved(
    view,
    order.map((axis) => from[axis] ?? at0),
    (index) => from.map((_, axis) => index[order.indexOf(axis)] ?? at0),
  );
}

function expand(view: NodeView): SymbolicTensor[] {
  const from = view.inputs[0]?.shape;
  const wanted = integersOf(view.inputs[1]);
  if (from === undefined || wanted === undefined) return nothing(view);
  return moved(view, broadcastShapes(from, named(view, wanted)), (index) => broadcastIndex(from, index));
}

function shapeOf(view: NodeView): SymbolicTensor[] {
  const from = view.inputs[0]?.shape;
  if (from === undefined) return [{ type: 'int64', shape: undefined, at: () => unknown('a shape that is not known') }];
  const start = positive(view.int('start', 0), from.length);
  const end = positive(view.int('end', from.length), from.length);
  return [listTensor('int64', from.slice(start, end).map(integer))];
}

function gather(view: NodeView): SymbolicTensor[] {
  const [data, indices] = view.inputs;
  const [from, places] = [data?.shape, indices?.shape];
  if (data === undefined || indices === undefined || from === undefined || places === undefined) return nothing(view);
  const axis = positive(view.int('axis', 0), from.length);
  return [
    {
      type: data.type,
      shape: [...from.slice(0, axis), ...places, ...from.slice(axis + 1)],
      at(index, query) {
        query.step();
        const place = indices.at(index.slice(axis, axis + places.length), query);
        if (place.kind !== 'integer') return unknown(`elements of Gather ${view.node.name} cannot be followed`);
        const isFromEnd = (constantOf(place.value) ?? 0) < 0;
        const own = isFromEnd ? plus(place.value, from[axis] ?? at0) : place.value;
        return data.at([...index.slice(0, axis), own, ...index.slice(axis + places.length)], query);
      },
    },
  ];
}

/** GatherND with batch_dims 0: the last axis of the indices holds the place in the first axes of the data. */
function gatherNd(view: NodeView): SymbolicTensor[] {
  const [data, indices] = view.inputs;
  const [from, places] = [data?.shape, indices?.shape];
  const depth = constantOf(places?.at(-1) ?? new Map([['?', 1]]));
  const isKnown = data !== undefined && indices !== undefined && from !== undefined && places !== undefined;
  if (!isKnown || depth === undefined || depth > from.length || view.int('batch_dims', 0) !== 0) return nothing(view);
  const outer = places.length - 1;
  return [
    {
      type: data.type,
      shape: [...places.slice(0, -1), ...from.slice(depth)],
      at(index, query) {
        query.step();
        const place: Polynomial[] = [];
        for (let i = 0; i < depth; i++) {
          const each = indices.at([...index.slice(0, outer), constant(i)], query);
          if (each.kind !== 'integer') return unknown(`elements of GatherND ${view.node.name} cannot be followed`);
          place.push(each.value);
        }
        return data.at([...place, ...index.slice(outer)], query);
      },
    },
  ];
}

function concat(view: NodeView): SymbolicTensor[] {
  const parts = view.inputs;
  const [first] = parts;
  if (first?.shape === undefined) return nothing(view);
  const axis = positive(view.int('axis', 0), first.shape.length);
  const sides = parts.map((part) => part?.shape?.[axis]);
  if (!sides.every((side) => side !== undefined)) return nothing(view);
  const total = sides.reduce((sum, side) => plus(sum, side), at0);
  return [
    {
      type: first.type,
      shape: first.shape.map((side, i) => (i === axis ? total : side)),
      at(index, query) {
        query.step();
        let rest = index[axis] ?? at0;
        for (const [i, side] of sides.entries()) {
          const part = parts[i];
          if (part !== undefined && isBelow(rest, side, query.extents)) {
            return part.at(
              index.map((each, j) => (j === axis ? rest : each)),
              query,
            );
          }
          rest = minus(rest, side);
        }
        return unknown(`elements of Concat ${view.node.name} cannot be followed`);
      },
    },
  ];
}

/** Slices with steps of 1 from known starts; ends beyond the axis, like 2^63 - 1, mean its end. */
function slice(view: NodeView): SymbolicTensor[] {
  const [x, starts, ends, axes, steps] = view.inputs;
  const from = x?.shape;
  const lower = integersOf(starts) ?? view.attribute('starts', 'ints')?.map(constant);
  const upper = integersOf(ends) ?? (ends === undefined ? view.attribute('ends', 'ints')?.map(constant) : undefined);
  if (from === undefined || lower === undefined || upper === undefined) return nothing(view);
  const chosen =
    numbersOf(axes) ?? view.attribute('axes', 'ints') ?? (axes === undefined ? [...lower.keys()] : undefined);
  const stride = steps === undefined ? lower.map(() => 1) : numbersOf(steps);
  if (chosen === undefined || stride === undefined || !stride.every((step) => step === 1)) return nothing(view);
  const shape: (Polynomial | undefined)[] = [...from];
  const offset: (Polynomial | undefined)[] = from.map(() => at0);
  for (const [i, each] of chosen.entries()) {
    const axis = positive(each, from.length);
    const side = from[axis] ?? at0;
    const start = fromEnd(lower[i], side);
    // An end that is no integer here is one that is too large for one: 2^63 - 1.
    const end = ends !== undefined && isHuge(view, i) ? side : fromEnd(upper[i], side);
    offset[axis] = start;
    shape[axis] = start === undefined || end === undefined ? undefined : minus(clamped(end, side), start);
  }
  return moved(view, named(view, shape), (index) => {
    const place = index.map((each, axis) => {
      const by = offset[axis];
      return by === undefined ? undefined : plus(each, by);
    });
    return place.every((each) => each !== undefined) ? place : undefined;
  });
}

function fromEnd(place: Polynomial | undefined, side: Polynomial): Polynomial | undefined {
  return place !== undefined && (constantOf(place) ?? 0) < 0 ? plus(place, side) : place;
}

function isHuge(view: NodeView, i: number): boolean {
  const element: Expression | undefined = view.inputs[2]?.at([constant(i)], new Query());
  return element?.kind === 'number' && element.value > 2 ** 31;
}

/** The smaller one of an end and the side, where the two show it. */
function clamped(end: Polynomial, side: Polynomial): Polynomial {
  const [a, b] = [constantOf(end), constantOf(side)];
  if (a !== undefined && a >= 2 ** 31 - 1) return side;
  return a !== undefined && b !== undefined && a > b ? side : end;
}

function range(view: NodeView): SymbolicTensor[] {
  const [start, limit, delta] = view.inputs.map((input) => integersOf(input)?.[0]);
  const type = view.inputs[0]?.type;
  const step = delta === undefined ? undefined : constantOf(delta);
  if (start === undefined || limit === undefined || step !== 1) {
    return [{ type, shape: named(view, [undefined]), at: () => unknown(`elements of Range ${view.node.name}`) }];
  }
  return [
    { type, shape: [minus(limit, start)], at: ([index]) => integer(plus(start, times(index ?? at0, constant(step)))) },
  ];
}

function constantOfShape(view: NodeView): SymbolicTensor[] {
  const sides = integersOf(view.inputs[0]);
  const value = view.attribute('value', 'tensor');
  const element =
    value === undefined
      ? undefined
      : constantTensor('', value).at(
          value.shape.map(() => at0),
          new Query(),
        );
  return [
    {
      type: value?.type ?? 'float32',
      shape: sides === undefined ? undefined : named(view, sides),
      at: () => element ?? integer(0),
    },
  ];
}

/** The triangle k - q <= or >= `k` of the last two axes; the rest is 0. */
function trilu(view: NodeView): SymbolicTensor[] {
  const [x] = view.inputs;
  const diagonal = view.node.inputs[1] ? numbersOf(view.inputs[1])?.[0] : 0;
  const isUpper = view.int('upper', 1) === 1;
  if (x?.shape === undefined || diagonal === undefined) return nothing(view);
  return [
    {
      type: x.type,
      shape: x.shape,
      at(index, query) {
        query.step();
        const [row = at0, column = at0] = index.slice(-2);
        const distance = integer(minus(column, row));
        const isKept = isUpper
          ? compare('<=', integer(diagonal), distance, query.extents)
          : compare('<=', distance, integer(diagonal), query.extents);
        return where(isKept, x.at(index, query), x.type === 'bool' ? truth(false) : integer(0));
      },
    },
  ];
}

export const MOVEMENT: Readonly<Record<string, Rule>> = {
  Shape: shapeOf,
  Reshape: reshape,
  Flatten: flatten,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Transpose: transpose,
  Expand: expand,
  Gather: gather,
  GatherND: gatherNd,
  Concat: concat,
  Slice: slice,
  Range: range,
  ConstantOfShape: constantOfShape,
  Trilu: trilu,
};

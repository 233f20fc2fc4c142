/** Operators that compute each element of their result from one element of each operand (ONNX, "Operators"). */
import { elementType } from '../element-type.ts';
import type { ElementType } from '../ir.ts';
import { and, arithmetic, compare, type Expression, integer, not, numberOf, or, unknown, where } from './expression.ts';
import type { NodeView, Rule } from './rule.ts';
import { broadcastIndex, broadcastShapes, type Query, type SymbolicTensor } from './symbolic-tensor.ts';

type Combine = (operands: readonly Expression[], query: Query) => Expression;

/** The result of `combine` on the operands' elements; `type` undefined: that of the last operand (Where's first is a condition). */
function elementwise(view: NodeView, type: ElementType | undefined, combine: Combine): SymbolicTensor[] {
  const operands = view.inputs;
  const shape = operands.reduce<SymbolicTensor['shape']>(
    (result, operand) => broadcastShapes(result, operand?.shape),
    [],
  );
  return [
    {
      type: type ?? operands.at(-1)?.type,
      shape,
      at(index, query) {
        query.step();
        const elements = operands.map((operand) =>
          operand?.shape === undefined
            ? unknown(`${view.node.operator} of a value of unknown shape`)
            : operand.at(broadcastIndex(operand.shape, index), query),
        );
        return combine(elements, query);
      },
    },
  ];
}

const NOTHING = unknown('a missing operand');

function binary(
  type: ElementType | undefined,
  combine: (a: Expression, b: Expression, query: Query) => Expression,
): Rule {
  return (view) => elementwise(view, type, ([a = NOTHING, b = NOTHING], query) => combine(a, b, query));
}

function unary(combine: (a: Expression) => Expression, type?: ElementType): Rule {
  return (view) => elementwise(view, type, ([a = NOTHING]) => combine(a));
}

const calculate = (operator: string): Rule => binary(undefined, (a, b) => arithmetic(operator, a, b));

/** An operator whose elements are not followed. */
function only(operator: string): Rule {
  return unary((a) => ({ kind: 'arithmetic', operator, of: [a] }));
}

/** One operand after the other, as Max and Min take any number. */
function fold(operator: string): Rule {
  return (view) =>
    elementwise(view, undefined, ([first = NOTHING, ...others]) =>
      others.reduce((result, each) => arithmetic(operator, result, each), first),
    );
}

function cast(view: NodeView): SymbolicTensor[] {
  const type = elementType(view.int('to', 0));
  return elementwise(view, type, ([a = NOTHING]) => {
    const value = numberOf(a);
    if (type === 'bool') return value !== undefined ? not(compare('==', a, integer(0), new Map())) : truthOf(a);
    // A whole number is the same in every type that the shapes and masks of models use.
    if (a.kind === 'number' && type !== undefined && !type.startsWith('float') && type !== 'bfloat16') {
      return integer(Math.trunc(a.value));
    }
    return a.kind === 'truth' ? integer(a.value ? 1 : 0) : a;
  });
}

/** x != 0; a value that is a truth already stays as it is. */
function truthOf(a: Expression): Expression {
  const isTruth = a.kind === 'and' || a.kind === 'or' || a.kind === 'not' || a.kind === 'compare' || a.kind === 'truth';
  return isTruth || a.kind === 'element' ? a : not({ kind: 'compare', relation: '==', left: a, right: integer(0) });
}

const same: Rule = unary((a) => a);

export const ELEMENTWISE: Readonly<Record<string, Rule>> = {
  Add: calculate('Add'),
  Sub: calculate('Sub'),
  Mul: calculate('Mul'),
  Div: calculate('Div'),
  Mod: calculate('Mod'),
  Pow: calculate('Pow'),
  Min: fold('Min'),
  Max: fold('Max'),
  Neg: unary((a) => arithmetic('Sub', integer(0), a)),
  Identity: same,
  Dropout: same,
  Cast: cast,
  Less: binary('bool', (a, b, { extents }) => compare('<', a, b, extents)),
  LessOrEqual: binary('bool', (a, b, { extents }) => compare('<=', a, b, extents)),
  Greater: binary('bool', (a, b, { extents }) => compare('<', b, a, extents)),
  GreaterOrEqual: binary('bool', (a, b, { extents }) => compare('<=', b, a, extents)),
  Equal: binary('bool', (a, b, { extents }) => compare('==', a, b, extents)),
  And: binary('bool', and),
  Or: binary('bool', or),
  Not: unary(not, 'bool'),
  Where: (view) =>
    elementwise(view, undefined, ([condition = NOTHING, then = NOTHING, otherwise = NOTHING]) =>
      where(condition, then, otherwise),
    ),
  IsNaN: unary((a) => ({ kind: 'arithmetic', operator: 'IsNaN', of: [a] }), 'bool'),
  IsInf: unary((a) => ({ kind: 'arithmetic', operator: 'IsInf', of: [a] }), 'bool'),
  ...Object.fromEntries(
    'Abs Ceil Clip Cos Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log Mish PRelu Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu'
      .split(' ')
      .map((operator) => [operator, only(operator)]),
  ),
};

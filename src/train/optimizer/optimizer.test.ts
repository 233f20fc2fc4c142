/** Every optimizer beside its paper's algorithm, written down again in float64 on plain numbers. */
import { describe, expect, it } from 'vitest';
import { ArgumentError } from '../../errors.ts';
import { noisyArray } from '../testing.ts';
import type { Parameter } from '../trainable.ts';
import { adafactor } from './adafactor.ts';
import { adamw } from './adamw.ts';
import { lion } from './lion.ts';
import type { OptimizerKind } from './optimizer.ts';
import { sgd } from './sgd.ts';

const ROWS = 5;
const COLUMNS = 7;
const STEPS = 30;

type Matrix = number[][];

/** One weight matrix under an algorithm of a paper: `step` is 1 in the first. */
type Definition = (weights: Matrix, gradient: Matrix, step: number, rate: number) => Matrix;

const map = (a: Matrix, f: (value: number, i: number, j: number) => number): Matrix =>
  a.map((row, i) => row.map((value, j) => f(value, i, j)));
const zeros = (): Matrix => Array.from({ length: ROWS }, () => Array(COLUMNS).fill(0));
const rootMeanSquare = (a: Matrix): number =>
  Math.sqrt(a.flat().reduce((sum, value) => sum + value * value, 0) / a.flat().length);

/** Loshchilov and Hutter 2019, Algorithm 2, line by line; alpha is 1 and the schedule multiplier is the rate. */
function adamwDefinition(beta1: number, beta2: number, epsilon: number, lambda: number): Definition {
  let m = zeros();
  let v = zeros();
  return (theta, g, t, rate) => {
    m = map(m, (value, i, j) => beta1 * value + (1 - beta1) * g[i][j]);
    v = map(v, (value, i, j) => beta2 * value + (1 - beta2) * g[i][j] ** 2);
    const mHat = map(m, (value) => value / (1 - beta1 ** t));
    const vHat = map(v, (value) => value / (1 - beta2 ** t));
    return map(
      theta,
      (value, i, j) => value - rate * (mHat[i][j] / (Math.sqrt(vHat[i][j]) + epsilon) + lambda * value),
    );
  };
}

/** Chen et al. 2023, Algorithm 2. */
function lionDefinition(beta1: number, beta2: number, lambda: number): Definition {
  let m = zeros();
  return (theta, g, _, rate) => {
    const c = map(m, (value, i, j) => beta1 * value + (1 - beta1) * g[i][j]);
    const next = map(theta, (value, i, j) => value - rate * (Math.sign(c[i][j]) + lambda * value));
    m = map(m, (value, i, j) => beta2 * value + (1 - beta2) * g[i][j]);
    return next;
  };
}

/**
 * Sutskever et al. 2013, equations 1 and 2 (classical momentum): v' = mu v - rate g; theta' = theta + v'. Nesterov's, equations 3 and
 * 4, has its gradient at theta + mu v, so the weights that the training sees are y = theta + mu v; y follows from theta and v.
 */
function momentumDefinition(mu: number, nesterov: boolean): Definition {
  let v = zeros();
  return (seen, g, _, rate) => {
    const theta = nesterov ? map(seen, (value, i, j) => value - mu * v[i][j]) : seen;
    v = map(v, (value, i, j) => mu * value - rate * g[i][j]);
    const next = map(theta, (value, i, j) => value + v[i][j]);
    return nesterov ? map(next, (value, i, j) => value + mu * v[i][j]) : next;
  };
}

/** Shazeer and Stern 2018, Algorithm 4 with the parameters of Algorithm 6; sums, as there, not means. */
function adafactorDefinition(lambda: number): Definition {
  let r: number[] = Array(ROWS).fill(0);
  let c: number[] = Array(COLUMNS).fill(0);
  return (x, g, t, rate) => {
    const rho = Math.min(rate, 1 / Math.sqrt(t));
    const alpha = Math.max(1e-3, rootMeanSquare(x)) * rho;
    const beta2 = 1 - t ** -0.8;
    const squares = map(g, (value) => value ** 2 + 1e-30);
    r = r.map((value, i) => beta2 * value + (1 - beta2) * squares[i].reduce((a, b) => a + b));
    c = c.map((value, j) => beta2 * value + (1 - beta2) * squares.reduce((sum, row) => sum + row[j], 0));
    const sumOfRows = r.reduce((a, b) => a + b);
    const u = map(g, (value, i, j) => value / Math.sqrt((r[i] * c[j]) / sumOfRows));
    const clipped = Math.max(1, rootMeanSquare(u) / 1);
    return map(x, (value, i, j) => value - (alpha * u[i][j]) / clipped - rate * lambda * value);
  };
}

/** The same, Algorithm 5: for vectors. */
function adafactorVectorDefinition(): Definition {
  let v = zeros();
  return (x, g, t, rate) => {
    const alpha = Math.max(1e-3, rootMeanSquare(x)) * Math.min(rate, 1 / Math.sqrt(t));
    const beta2 = 1 - t ** -0.8;
    v = map(v, (value, i, j) => beta2 * value + (1 - beta2) * (g[i][j] ** 2 + 1e-30));
    const u = map(g, (value, i, j) => value / Math.sqrt(v[i][j]));
    const clipped = Math.max(1, rootMeanSquare(u));
    return map(x, (value, i, j) => value - (alpha * u[i][j]) / clipped);
  };
}

const rateAt = (step: number): number => 0.02 * (1 + Math.sin(step));
/** Sizes from step to step and element to element as different as gradients are; exact zeros too. */
const gradientAt = (step: number): Float32Array =>
  noisyArray(ROWS * COLUMNS, step).map((value, i) => (i % 9 === step % 9 ? 0 : value * 10 ** ((i % 5) - 3)));

const matrixOf = (values: ArrayLike<number>): Matrix =>
  Array.from({ length: ROWS }, (_, i) => Array.from({ length: COLUMNS }, (_, j) => values[i * COLUMNS + j]));

function parameterOf(shape: readonly number[]): Parameter {
  return { name: 'weight', shape, data: noisyArray(ROWS * COLUMNS, 99) };
}

const cases: [string, OptimizerKind, () => Definition, number[]][] = [
  ['adamw', adamw(), () => adamwDefinition(0.9, 0.999, 1e-8, 0.01), [ROWS, COLUMNS]],
  [
    'adamw with other settings',
    adamw({ beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.3 }),
    () => adamwDefinition(0.8, 0.95, 1e-3, 0.3),
    [ROWS, COLUMNS],
  ],
  ['adamw on a vector: no decay', adamw(), () => adamwDefinition(0.9, 0.999, 1e-8, 0), [ROWS * COLUMNS]],
  ['lion', lion({ weightDecay: 0.1 }), () => lionDefinition(0.9, 0.99, 0.1), [ROWS, COLUMNS]],
  ['adafactor on a matrix', adafactor({ weightDecay: 0.1 }), () => adafactorDefinition(0.1), [ROWS, COLUMNS]],
  ['adafactor on a vector', adafactor(), () => adafactorVectorDefinition(), [ROWS * COLUMNS]],
];

function compare(kind: OptimizerKind, definition: Definition, shape: number[], rate = rateAt): void {
  const parameter = parameterOf(shape);
  const optimizer = kind.create([parameter]);
  let expected = matrixOf(parameter.data);
  for (let step = 1; step <= STEPS; step++) {
    const gradient = gradientAt(step);
    expected = definition(expected, matrixOf(gradient), step, rate(step));
    // Scaled up and handed over with the factor that takes it back: both exact.
    optimizer.step([gradient.map((value) => value * 1024)], rate(step), 1 / 1024);
    for (const [k, value] of expected.flat().entries()) {
      // float32 weights near 1 round by 6e-8 in each step.
      expect(Math.abs(parameter.data[k] - value)).toBeLessThan(2e-7 * Math.sqrt(step) * Math.max(1, Math.abs(value)));
    }
  }
}

describe('an optimizer follows its paper', () => {
  it.each(cases)('%s', (_, kind, definition, shape) => compare(kind, definition(), shape));

  // Momentum in the papers' form contains the rate, so the two agree for a constant one.
  const constant = () => 0.01;
  it.each([
    ['sgd', sgd(), () => momentumDefinition(0, false)],
    ['momentum', sgd({ momentum: 0.9 }), () => momentumDefinition(0.9, false)],
    ['Nesterov momentum', sgd({ momentum: 0.9, nesterov: true }), () => momentumDefinition(0.9, true)],
  ] as const)('%s', (_, kind, definition) => compare(kind, definition(), [ROWS, COLUMNS], constant));

  it('sgd decays as SGDW does: with gradients of zero the weights shrink by the same share in each step', () => {
    for (const kind of [sgd({ weightDecay: 0.5 }), sgd({ weightDecay: 0.5, momentum: 0.9 })]) {
      const parameter = parameterOf([ROWS, COLUMNS]);
      const before = parameter.data.slice();
      const optimizer = kind.create([parameter]);
      for (let step = 0; step < 10; step++) optimizer.step([new Float32Array(ROWS * COLUMNS)], 0.1);
      for (const [i, value] of before.entries()) expect(parameter.data[i]).toBeCloseTo(value * 0.95 ** 10, 6);
    }
  });

  it('adafactor takes a tensor of three sides for the matrix of the first two by the last', () => {
    const [flat, deep] = [
      { name: 'weight', shape: [6, 5], data: noisyArray(30, 3) },
      { name: 'weight', shape: [2, 3, 5], data: noisyArray(30, 3) },
    ];
    for (const parameter of [flat, deep]) {
      const optimizer = adafactor().create([parameter]);
      for (let step = 0; step < 5; step++) optimizer.step([noisyArray(30, step)], 0.01);
    }
    expect(deep.data).toEqual(flat.data);
  });
});

describe('parameter rules', () => {
  const parameters = () =>
    ['wte.weight', 'layers.0.weight', 'layers.0.bias', 'layers.10.weight'].map((name) => ({
      name,
      shape: name.endsWith('bias') ? [4] : [2, 2],
      data: new Float32Array(4).fill(1),
    }));
  /** Each parameter's first weight after a step along gradients of one. */
  const stepped = (kind: OptimizerKind): number[] => {
    const own = parameters();
    const gradients = own.map(() => new Float32Array(4).fill(1));
    kind.create(own).step(gradients, 0.1);
    return own.map(({ data }) => Number(data[0].toFixed(6)));
  };

  it('decay matrices, but neither vectors nor embeddings', () => {
    expect(stepped(sgd({ weightDecay: 0.5 }))).toEqual([0.9, 0.85, 0.9, 0.85]);
  });

  it('change the decay and the rate by name, the first that fits', () => {
    const rules = [
      { names: 'layers.0.*', rate: 0 },
      { names: 'layers.*', weightDecay: 0, rate: 2 },
      { names: 'wte.weight', weightDecay: 1 },
    ];
    expect(stepped(sgd({ weightDecay: 0.5, rules }))).toEqual([0.8, 1, 1, 0.8]);
  });

  it('take * for any characters and everything else for itself', () => {
    expect(stepped(sgd({ rules: [{ names: 'layersx0xbias', rate: 0 }] }))).toEqual([0.9, 0.9, 0.9, 0.9]);
    expect(stepped(sgd({ rules: [{ names: '*0.bias', rate: 0 }] }))).toEqual([0.9, 0.9, 1, 0.9]);
  });
});

describe('an optimizer refuses', () => {
  it.each([
    [() => adamw({ beta1: 1 }), 'adamw: beta1 is 1'],
    [() => adamw({ weightDecay: -1 }), 'adamw: weightDecay is -1'],
    [() => adamw({ epsilon: Number.NaN }), 'adamw: epsilon is NaN'],
    [() => lion({ beta2: -0.1 }), 'lion: beta2 is -0.1'],
    [() => adafactor({ epsilon1: 0 }), 'adafactor: epsilon1 is 0'],
    [() => sgd({ nesterov: true }), 'nesterov needs a momentum'],
    [() => sgd({ rules: [{ names: 'a', rate: -1 }] }), 'rate for "a" is -1'],
    [
      () =>
        sgd()
          .create([parameterOf([35])])
          .step([], 0.1),
      '0 gradients for 1 parameter',
    ],
    [
      () =>
        sgd()
          .create([parameterOf([35])])
          .step([new Float32Array(3)], 0.1),
      'has 3 elements; the parameter has 35',
    ],
    [
      () =>
        sgd()
          .create([parameterOf([35])])
          .step([new Float32Array(35)], Number.NaN),
      'learningRate is NaN',
    ],
  ])('%s', (make, message) => {
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(message);
  });
});

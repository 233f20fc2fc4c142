import type { GraphBuilder } from './builder.ts';
import { fixedSize, mismatch, wantType } from './check.ts';
import type { Value } from './ir.ts';

export interface NormOptions {
  /** Added to the mean square (or variance) under the root. Default 1e-5. */
  readonly epsilon?: number;
  readonly name?: string;
}

/**
 * Root mean square normalization over the last axis: x / sqrt(mean(x^2) + epsilon) * weight, weight [K] (Zhang and Sennrich,
 * "Root Mean Square Layer Normalization", equation 4). Measured on [1024, 576], 2 threads: SimplifiedLayerNormalization 0.48 ms,
 * RMSNormalization (opset 23) 0.53 ms, equal within the noise; the former runs in every version of ONNX Runtime.
 */
export function rmsNorm(graph: GraphBuilder, x: Value, weight: Value, options: NormOptions = {}): Value {
  checkWeight('SimplifiedLayerNormalization', x, weight, options.name);
  return graph.op1(
    {
      operator: 'SimplifiedLayerNormalization',
      inputs: [x, weight],
      attributes: attributesOf(options),
      name: options.name,
    },
    'float32',
    x.shape,
  );
}

/**
 * A residual addition and the norm that follows it, in one pass: sum = x + residual, normalized = rmsNorm(sum, weight)
 * (com.microsoft.SkipSimplifiedLayerNormalization). ONNX Runtime makes this node of add() and rmsNorm() by itself, so both cost
 * the same (1.1 ms on [1024, 576]).
 */
export function addRmsNorm(
  graph: GraphBuilder,
  x: Value,
  residual: Value,
  weight: Value,
  options: NormOptions = {},
): { readonly normalized: Value; readonly sum: Value } {
  const operator = 'SkipSimplifiedLayerNormalization';
  checkWeight(operator, x, weight, options.name);
  if (x.shape.join() !== residual.shape.join()) {
    mismatch(operator, options.name, 'x and residual must have one shape', { x, residual });
  }
  const output = { type: 'float32', shape: x.shape } as const;
  // The outputs are output, mean, inverse deviation and the sum; ONNX marks absent ones by an empty name.
  const [normalized, sum] = graph.op({
    operator,
    domain: 'com.microsoft',
    inputs: [x, residual, weight],
    attributes: { epsilon: { type: 'float', value: options.epsilon ?? 1e-5 } },
    outputs: [output, undefined, undefined, output],
    name: options.name,
  });
  if (normalized === undefined || sum === undefined) return mismatch(operator, options.name, 'no output', { x });
  return { normalized, sum };
}

/** Layer normalization over the last axis (Ba et al., "Layer Normalization"); weight [K], bias [K]. */
export function layerNorm(
  graph: GraphBuilder,
  x: Value,
  weight: Value,
  bias?: Value,
  options: NormOptions = {},
): Value {
  checkWeight('LayerNormalization', x, weight, options.name);
  if (bias !== undefined) checkWeight('LayerNormalization', x, bias, options.name);
  return graph.op1(
    {
      operator: 'LayerNormalization',
      inputs: [x, weight, bias],
      attributes: attributesOf(options),
      name: options.name,
    },
    'float32',
    x.shape,
  );
}

function attributesOf(options: NormOptions) {
  return {
    axis: { type: 'int', value: -1 },
    epsilon: { type: 'float', value: options.epsilon ?? 1e-5 },
  } as const;
}

function checkWeight(operator: string, x: Value, weight: Value, name?: string): void {
  wantType(operator, 'x', x, 'float32');
  const width = fixedSize(operator, x, -1);
  if (weight.shape.join() !== `${width}`) mismatch(operator, name, `weight must be [${width}]`, { x, weight });
}

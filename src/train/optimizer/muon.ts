/**
 * Muon (Jordan 2024, "Muon: An optimizer for hidden layers in neural networks") for matrices that are no embeddings, AdamW for the rest:
 *
 *     m = momentum m + g         o = orthogonalize(g + momentum m)         w = w - rate (0.2 sqrt(max(n, m)) o + decay w)
 *
 * The factor is that of Liu et al. 2025 ("Muon is Scalable for LLM Training", equation 4): it gives the update the size that AdamW's usually has,
 * so that one rate and one decay serve both. State: 4 bytes a weight for matrices, 8 for the rest. The iteration costs far more than
 * the other optimizers: orthogonalize.ts has the count.
 */
import type { Parameter } from '../trainable.ts';
import { type AdamWOptions, adamwUpdate } from './adamw.ts';
import { decaysByDefault } from './groups.ts';
import { checkNumber, type OptimizerKind, optimizerOf, type ParameterUpdate, stateOf } from './optimizer.ts';
import { orthogonalize } from './orthogonalize.ts';

export interface MuonOptions extends AdamWOptions {
  /** Nesterov's, of the matrices. Default 0.95. */
  readonly momentum?: number;
  /** Default 0.1. */
  readonly weightDecay?: number;
}

/** `beta1`, `beta2` and `epsilon` are those of AdamW. @throws ArgumentError for a number out of range. */
export function muon(options: MuonOptions = {}): OptimizerKind {
  const { momentum = 0.95, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.1 } = options;
  checkNumber('muon', 'momentum', momentum, 0, 1);
  checkNumber('muon', 'beta1', beta1, 0, 1);
  checkNumber('muon', 'beta2', beta2, 0, 1);
  checkNumber('muon', 'epsilon', epsilon, 0, Infinity);
  const settings = { momentum, beta1, beta2, epsilon };
  return optimizerOf('muon', settings, { ...options, weightDecay }, (parameter) =>
    decaysByDefault(parameter) ? muonUpdate(parameter, momentum) : adamwUpdate(parameter, settings),
  );
}

function muonUpdate(parameter: Parameter, momentum: number): ParameterUpdate {
  const columns = parameter.shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : parameter.data.length / columns;
  const sum = stateOf(parameter, 'momentum');
  const ahead = new Float64Array(parameter.data.length);
  return {
    state: [sum],
    update(gradient, { learningRate, weightDecay, scale }) {
      for (let i = 0; i < ahead.length; i++) {
        const g = gradient[i] * scale;
        const u = momentum * sum.data[i] + g;
        sum.data[i] = u;
        ahead[i] = g + momentum * u;
      }
      const direction = orthogonalize(ahead, rows, columns);
      const rate = learningRate * 0.2 * Math.sqrt(Math.max(rows, columns));
      const kept = 1 - learningRate * weightDecay;
      const weights = parameter.data;
      for (let i = 0; i < weights.length; i++) weights[i] = kept * weights[i] - rate * direction[i];
    },
  };
}

import type { PerplexityResult } from '../../task/index.ts';

/** The figures of a reading, for --json: a loss for each token would be most of the output. */
export function figuresOf({ losses: _, ...figures }: PerplexityResult): Omit<PerplexityResult, 'losses'> {
  return figures;
}

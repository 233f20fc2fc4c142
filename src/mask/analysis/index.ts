export { type AttentionCost, attentionCost, type CostComparison, type CostOptions, type Work } from './cost.ts';
export type { Estimate } from './estimate.ts';
export { type GraphMeasureOptions, type GraphMeasures, type GraphStage, graphMeasures } from './graph-measures.ts';
export { type LayersUntilConnected, layersUntilConnected } from './layers-until-connected.ts';
export { type ReceptiveField, receptiveField } from './receptive-field.ts';

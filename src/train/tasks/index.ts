/** Tasks made by code, after the Long Range Arena. */
export { type CountedReviewsOptions, countedReviews } from './counted-reviews.ts';
export { type CountedShapesOptions, countedShapes } from './counted-shapes.ts';
export { type GeneratedOptions, type Generator, generatedSet } from './generated-set.ts';
export { type ListOpsOptions, listOps, listOpsText, listOpsTokens } from './listops.ts';
export { drawImage, pathfinder, pathfinder32, pathfinder128 } from './pathfinder.ts';
export { drawScene, type PathfinderParameters, type PathfinderScene } from './pathfinder-scene.ts';
export { longRangeArenaTable1, type PublishedModel } from './published.ts';
export { type Task, type TaskName, type TaskOptions, tasks } from './registry.ts';
export { type SharedSubjectOptions, sharedSubject } from './shared-subject.ts';

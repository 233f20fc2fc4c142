export { type ArenaOptions, type ArenaProgress, type ArenaResult, runArena } from './arena.ts';
export { type ArenaPattern, arenaPatterns, ownPattern } from './patterns.ts';

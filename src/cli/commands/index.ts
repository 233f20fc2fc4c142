import type { Register } from '../command.ts';
import { registerDoctor } from './doctor.ts';

/** Every command, in the order in which the help lists them. */
export const registry: readonly Register[] = [registerDoctor];

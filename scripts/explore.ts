/**
 * Builds the explorer to explorer/dist/ and serves it on this machine until it is stopped:
 *
 *     node scripts/explore.ts
 */
import { fileURLToPath } from 'node:url';
import { build, preview } from 'vite';

const root = fileURLToPath(new URL('../explorer', import.meta.url));

await build({ root });
const server = await preview({ root });
server.printUrls();

import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** Headers that make a page cross-origin isolated. */
const headers = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

export default defineConfig({
  base: './',
  plugins: [svelte()],
  worker: { format: 'es' },
  // The first browsers with light-dark().
  build: { target: ['chrome123', 'firefox120', 'safari17.5'] },
  server: { headers },
  preview: { headers },
});

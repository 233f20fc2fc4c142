import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  plugins: [svelte()],
  worker: { format: 'es', rolldownOptions: { checks: { pluginTimings: false } } },
  // The first browsers with light-dark().
  build: {
    target: ['chrome123', 'firefox120', 'safari17.5'],
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: {
    // A page that is cross-origin isolated has threads, as the one of `farfield explore` is.
    headers: { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' },
  },
});

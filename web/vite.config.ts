import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // the page's policy allows no data: in scripts and styles
    modulePreload: { polyfill: false }, // it would be an inline script
  },
});

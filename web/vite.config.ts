import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';
import { compressed, pdfParts, shellWorker } from './build.ts';

export default defineConfig({
  plugins: [svelte(), svelteTesting(), pdfParts(), shellWorker(), compressed()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // the page's policy allows no data: in scripts and styles
    modulePreload: { polyfill: false }, // it would be an inline script
  },
  worker: { format: 'es' },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'jsdom',
    environmentOptions: { jsdom: { url: 'http://cloud.test/' } },
    testTimeout: 5_000,
    restoreMocks: true,
    unstubGlobals: true,
  },
});

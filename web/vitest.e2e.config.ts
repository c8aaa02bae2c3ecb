import { defineConfig } from 'vitest/config';

// The real binary and a real browser: one test after the other, in one process.
export default defineConfig({
  test: {
    include: ['tests/**/*.e2e.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    fileParallelism: false,
    bail: 1,
  },
});

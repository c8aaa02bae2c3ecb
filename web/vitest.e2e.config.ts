import { defineConfig } from 'vitest/config';

// The real binary and a real browser. The tests of a file go on where the one before has stopped; files have a
// server and a browser each, and mostly wait for them: two at a time.
export default defineConfig({
  test: {
    include: ['tests/**/*.e2e.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    maxWorkers: 2,
    bail: 1,
  },
});

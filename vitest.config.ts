import { defineConfig } from 'vitest/config'

const common = {
  // Far more than any of them takes: beside other work a machine needs several times as long.
  testTimeout: 900_000,
  hookTimeout: 900_000,
  pool: 'forks' as const,
  retry: 0,
}

// What promises a time is measured by itself: beside other tests it would measure them.
const TIMED = ['test/scenarios/*-live.test.ts']

export default defineConfig({
  test: {
    // Of the whole: each project would have a server and a translation of its own.
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        test: {
          ...common,
          name: 'all',
          include: ['test/**/*.test.ts'],
          exclude: [...TIMED, '**/node_modules/**'],
          // One more than the cores of a small machine: tests wait at times, for a lock or for the server.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { ...common, name: 'timed', include: TIMED, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
})

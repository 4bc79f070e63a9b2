import { defineConfig } from 'vitest/config'

const common = {
  // Far more than any of them takes: beside other work a machine needs several times as long.
  testTimeout: 900_000,
  hookTimeout: 900_000,
  pool: 'forks' as const,
  // Once, where a change is judged by all of the tests: which needed it is said at the end.
  retry: Number(process.env.EBB_TEST_RETRY ?? 0),
}

// Put mocks in the place of modules, or measure the memory of their process: others would meet with these, and add to it.
const ALONE = ['test/requests/requests.test.ts', 'test/archive/s3-store.test.ts']

// What promises a time is measured by itself: beside other tests it would measure them.
const TIMED = ['test/scenarios/*-live.test.ts']

// One more than the cores of a small machine: tests wait at times, for a lock or for the server.
const BESIDE = { maxWorkers: 3, sequence: { groupOrder: 0 } }

export default defineConfig({
  test: {
    reporters: ['default', './test/support/second-attempts.ts'],
    // Of the whole: each project would have a server and a translation of its own.
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        test: {
          ...common,
          name: 'all',
          include: ['test/**/*.test.ts'],
          exclude: [...TIMED, ...ALONE, '**/node_modules/**'],
          // The files of a worker share what has been loaded: to load it for each takes a sixth of the time.
          isolate: false,
          ...BESIDE,
        },
      },
      { test: { ...common, name: 'alone', include: ALONE, ...BESIDE } },
      { test: { ...common, name: 'timed', include: TIMED, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
})

import type { SplitOrder } from '../../src/engine/commands/split.ts'

/** What is asked for where a test does not say otherwise: the first wide partition, all its rows. */
export function splitOrder(overrides: Partial<SplitOrder> = {}): SplitOrder {
  return {
    partition: null,
    every: null,
    keep: null,
    transport: 'server',
    jobs: 1,
    noArchive: false,
    retireAfter: null,
    ...overrides,
  }
}

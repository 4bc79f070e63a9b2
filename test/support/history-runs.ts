import type { EngineOptions } from '../../src/engine/options.ts'
import { EbbError } from '../../src/errors.ts'
import { quietly } from './tool.ts'
import { PATIENCE_MS } from './until.ts'

// Copies made at random, for the history checks.

/** The writers may wait longer for us than an application should: a round is to be short. */
export const hasty = { lockLimits: { lockTimeoutMs: 400, workTimeoutMs: 5_000, deadlineMs: PATIENCE_MS } }

export function anyCopying(random: () => number) {
  return {
    transport: (['copy', 'server'] as const)[Math.floor(random() * 2)]!,
    jobs: 1 + Math.floor(random() * 3),
    noArchive: true,
    retireAfter: null,
  }
}

/** Tiny; `batchEntries` at least so many: with fewer a busy machine would never catch up with the writers. */
export function anySizes(random: () => number, batchEntries = 60) {
  return {
    chunkBlocks: 1 + Math.floor(random() * 3),
    batchEntries: batchEntries + Math.floor(random() * 60),
    shortLog: Math.floor(random() * 60),
  }
}

/** Copies; now and then it is stopped somewhere, and goes on. */
export async function untilItIsDone<Result>(
  random: () => number,
  copy: (options: EngineOptions) => Promise<Result>,
  copySizes = anySizes(random),
): Promise<Result> {
  for (;;) {
    const stop = new AbortController()
    const stopIn = random() < 0.4 ? random() * 400 : null
    const timer = stopIn === null ? undefined : setTimeout(() => stop.abort(), stopIn)
    try {
      return await copy(quietly({ ...hasty, copySizes, signal: stop.signal }))
    } catch (error) {
      if (!(error instanceof EbbError && error.kind === 'stopped')) throw error
    } finally {
      clearTimeout(timer)
    }
  }
}

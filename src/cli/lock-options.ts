import type { Command } from 'commander'
import { LOCK_LIMITS, type LockLimits } from '../engine/locks/short-locks.ts'
import type { Faults, Settled } from './faults.ts'
import { parseDeadline, parseWhole } from './parse.ts'

export interface LockWords {
  readonly lockTimeout: string
  readonly deadline: string
}

/** Gives a command the words on how locks are asked for. */
export function withLockOptions(command: Command): Command {
  return command
    .option(
      '--lock-timeout <ms>',
      'lock_timeout of each attempt: how long others may queue behind it',
      String(LOCK_LIMITS.lockTimeoutMs),
    )
    .option('--deadline <time>', 'how long to retry for a lock: seconds, or 10 minutes', '10 minutes')
}

export function readLockOptions(words: LockWords, faults: Faults): Settled<LockLimits> {
  const lockTimeoutMs = faults.read('--lock-timeout', () => parseWhole(words.lockTimeout, 1, 60_000))
  const deadlineMs = faults.read('--deadline', () => parseDeadline(words.deadline))
  return () => ({ ...LOCK_LIMITS, lockTimeoutMs: lockTimeoutMs(), deadlineMs: deadlineMs() })
}

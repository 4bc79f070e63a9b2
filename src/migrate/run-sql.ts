import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { backendPid } from '../db/pooler.ts'
import type { Session } from '../db/session.ts'
import { inTransaction } from '../db/transaction.ts'
import { isLockRefused } from '../db/sqlstate.ts'
import { LOCK_LIMITS } from '../engine/locks/short-locks.ts'
import { cancelUntil } from '../engine/table-context.ts'
import { forgetMigration, markApplied, migrationTable, type Direction } from '../journal/migration-files.ts'
import { assertRunnable } from './check-sql.ts'
import type { MigrationFile } from './files.ts'
import { openAsUser, type Migrating } from './migrating.ts'

/**
 * Runs a file of SQL in one transaction, together with its record. No lock is waited for longer than others may queue
 * behind it: then all is rolled back, and repeated until the deadline.
 */
export async function runSql(migrating: Migrating, file: MigrationFile, direction: Direction): Promise<void> {
  const { lockLimits = LOCK_LIMITS, observer, signal } = migrating.options
  const text = await readFile((direction === 'up' ? file.path : file.downPath) ?? file.path, 'utf8')
  await assertRunnable(file.name, text, direction)
  const deadline = performance.now() + lockLimits.deadlineMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await runOnce(migrating, file.name, text, direction)
    } catch (error) {
      if (!isLockRefused(error) || performance.now() > deadline || signal.aborted) throw error
      const reason = `for a lock that was not granted within lock_timeout (attempt ${attempt})`
      observer({ table: migrationTable(migrating.journal.schema), runId: null, type: 'waiting', reason })
    }
    await sleep(Math.min(200 * attempt, 2_000) * (0.5 + Math.random()), undefined, { signal })
  }
}

async function runOnce(migrating: Migrating, name: string, text: string, direction: Direction): Promise<void> {
  const { target, journal, options } = migrating
  const { lockTimeoutMs } = options.lockLimits ?? LOCK_LIMITS
  const session = await openAsUser(target)
  try {
    await stoppable(migrating, session, () =>
      inTransaction(session, {}, async () => {
        await session.query(`set local lock_timeout = ${lockTimeoutMs}`)
        await session.query(text)
        await session.query(`set local search_path = ''`)
        const record = direction === 'up' ? markApplied : forgetMigration
        await record({ ...journal, session }, name)
      }),
    )
  } finally {
    await session.end()
  }
}

async function stoppable(migrating: Migrating, session: Session, work: () => Promise<void>): Promise<void> {
  const { signal } = migrating.options
  const pid = await backendPid(session)
  const ended = new AbortController()
  const cancel = () => void cancelUntil(ended.signal, migrating.journal.session, pid)
  signal.addEventListener('abort', cancel)
  try {
    await work()
  } finally {
    signal.removeEventListener('abort', cancel)
    ended.abort()
  }
}

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { openSession, withSession, type Session, type Address } from '../db/session.ts'
import { Sockets } from '../db/sockets.ts'
import { LOCK_LIMITS } from '../engine/locks/short-locks.ts'
import type { EngineOptions } from '../engine/options.ts'
import { withPulse } from '../engine/table-context.ts'
import { EbbError } from '../errors.ts'
import { leaseHolder, releaseLease, takeLease, type Lease } from '../journal/lease.ts'
import { migrateJournal } from '../journal/migrate.ts'
import { migrationTable, type MigrationJournal } from '../journal/migration-files.ts'

// One deployment migrates at a time. A second one waits by polling, without a transaction: a session that waits for a
// lock has a snapshot, for which an index build of the first would wait. The lease lasts only as long as its holder's
// sessions, and a pooler cannot lose it.

const POLL_EVERY_MS = 500

/**
 * Does `work` while no other process migrates; waits for one that does.
 *
 * @throws {EbbError} at the deadline
 */
export async function oneAtATime<T>(
  target: Address,
  options: EngineOptions,
  work: (journal: MigrationJournal) => Promise<T>,
): Promise<T> {
  const holder = `migrate ${randomBytes(3).toString('hex')}`
  const sockets = new Sockets()
  const through = sockets.through(target)
  const { journalSchema: schema } = options
  const control = await openSession(through, holder)
  try {
    await migrateJournal(control, schema)
    const lease = await waitForLease(control, `ebb ${holder}`, options)
    try {
      return await withPulse(control, schema, lease, sockets, () =>
        withSession(through, holder, (session) => work({ session, schema, lease })),
      )
    } finally {
      await releaseLease(control, schema, lease).catch(() => {})
    }
  } finally {
    await control.end()
  }
}

async function waitForLease(
  session: Session,
  holder: string,
  { journalSchema: schema, lockLimits = LOCK_LIMITS, observer, signal }: EngineOptions,
): Promise<Lease> {
  const table = migrationTable(schema)
  const deadline = performance.now() + lockLimits.deadlineMs
  for (;;) {
    try {
      return await takeLease(session, schema, table, holder)
    } catch (error) {
      if (!(error instanceof EbbError && error.kind === 'try later')) throw error
      const who = (await leaseHolder(session, schema, table)) ?? 'another process'
      if (performance.now() > deadline) throw stillMigrating(who, lockLimits.deadlineMs, error)
      observer({ table, runId: null, type: 'waiting', reason: `for ${who}, which is running migrations` })
      await sleep(POLL_EVERY_MS * (0.5 + Math.random()), undefined, { signal })
    }
  }
}

function stillMigrating(who: string, deadlineMs: number, cause: unknown): EbbError {
  return new EbbError(
    `${who} is still running migrations after ${Math.round(deadlineMs / 1000)} s`,
    {
      state: 'This command has changed nothing.',
      next: 'Run it again when the other one has ended, or with a longer --deadline. See ebb migrate status.',
    },
    'try later',
    cause,
  )
}

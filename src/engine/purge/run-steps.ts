import { setTimeout as sleep } from 'node:timers/promises'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { noteOutcome } from '../../journal/journal.ts'
import { assertLease } from '../../journal/lease.ts'
import { lastFiles, purgedTables, readFigures } from '../../journal/purges.ts'
import { ACTION_TEXTS } from '../../plan/purge/action-sql.ts'
import { showRows } from '../../text/units.ts'
import { inSession } from '../../plan/table/user-code.ts'
import type { CheckStep, PurgeStep, VacuumStep } from '../../plan/language/step.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { EbbError } from '../../errors.ts'
import { givingWay } from '../locks/give-way.ts'
import type { RunContext } from '../table-context.ts'
import { countLeft, countRemaining } from './check.ts'
import { comeBack } from './revisit.ts'
import { progressOf } from './meter.ts'
import { describeAhead } from './progress.ts'
import type { Purging } from './purging.ts'
import { withPurgeSettings } from './settings.ts'
import type { Turns } from './turns.ts'
import { walk } from './walk.ts'

/** Deletes what the run has not deleted yet. */
export async function purgeRows({ work }: PurgeStep, context: RunContext, turns: Turns): Promise<void> {
  const { lastNumber, rows, ahead } = await readFigures(context.session, context.journalSchema, context.runId)
  const tally = {
    number: lastNumber,
    rows,
    last: null,
    careful: 0,
    few: null,
    refused: lastNumber > 0 ? null : 0,
    aheadMs: 0,
    entries: null,
  }
  if (lastNumber > 0)
    context.observer({
      type: 'note',
      text: [
        `resuming run ${context.runId}: ${showRows(rows)} ${ACTION_TEXTS[work.action.kind].done} so far`,
        ...describeAhead(ahead),
      ].join('; '),
    })
  const files = await lastFiles(context.session, context.journalSchema, context.runId)
  const progress = progressOf(work, context.observer)
  const purging: Purging = { work, context, turns, tally, files, progress }
  try {
    await withPurgeSettings(context, async () => {
      await walk(purging)
      await comeBack(purging)
    })
  } catch (error) {
    const between = error instanceof EbbError && error.kind === 'stopped' ? error : null
    const within = context.signal.aborted && !(error instanceof EbbError)
    throw between !== null || within ? stopped(purging, between?.message ?? 'stopped on request', error) : error
  }
}

function stopped({ work, tally, context }: Purging, how: string, cause: unknown): EbbError {
  const { at, done } = ACTION_TEXTS[work.action.kind]
  const again = context.signal.aborted ? 'Run' : 'Remove the file and run'
  return new EbbError(
    `${how}, while ${at} ${display(work.table)}`,
    {
      state: `${capital(done)} so far: ${showRows(tally.rows)}, batch by batch; none is half done.`,
      next: `${again} the same command again, or ebb resume ${context.runId} --execute: it resumes from here. Or leave it at that: ebb abandon ${context.runId} --execute.`,
    },
    'stopped',
    cause,
  )
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** As an autovacuum would: at full speed it would be felt. */
const GENTLE = "set vacuum_cost_delay = '2ms'; set vacuum_cost_limit = 200"

/** How often a vacuum is begun that others have to wait for. */
const MOST_TRIES = 3
/** How long a table is waited for before its vacuum is begun again, and how often it is looked at. */
const LONGEST_LOCK_MS = 10_000
const LOOK_EVERY_MS = 100

/**
 * Vacuums a table from which rows have gone, once it is this run's turn. One that
 * cannot be locked is left to others: their vacuum does the same. So is one that others keep waiting for.
 */
export async function vacuum(
  { table, whole, statements, settings = {} }: VacuumStep,
  context: RunContext,
  turns: Turns,
): Promise<void> {
  const { session, journalSchema, observer } = context
  const touched = await purgedTables(session, journalSchema, context.runId)
  if (!touched.has(display(table)) && !(whole && touched.size > 0)) return
  if (whole && (await hasForeign(session, table))) {
    observer({
      type: 'note',
      text: `${display(table)} is not analyzed as a whole: that would read partitions on other servers`,
    })
    return
  }
  await turns.turn(null)
  const tell = ({ message }: { message?: string | undefined }) => observer({ type: 'note', text: message ?? 'skipped' })
  session.on('notice', tell)
  try {
    await session.query(GENTLE)
    for (let tries = 1; ; tries++) {
      const other = await givingWay(context, async () => {
        for (const statement of inSession(settings, statements)) await session.query(statement)
      })
      if (other === null) break
      const next = tries < MOST_TRIES ? 'it is begun again' : 'it is left to autovacuum'
      observer({ type: 'note', text: `the vacuum was cancelled, because ${other} was waiting for its lock; ${next}` })
      if (tries === MOST_TRIES) break
      await lockedByNobody(context, table)
      await turns.turn(null)
    }
  } catch (error) {
    if (codeOf(error) !== SQLSTATE.undefinedTable) throw error
    observer({ type: 'note', text: `${display(table)} is not there any more, so it is not vacuumed` })
  } finally {
    session.off('notice', tell)
    await resetVacuum(session)
  }
}

/** Waits a while for what was given way to: while it holds its lock, a vacuum would skip the table. */
async function lockedByNobody({ control, pid, signal }: RunContext, table: TableName): Promise<void> {
  for (const began = performance.now(); performance.now() - began < LONGEST_LOCK_MS;) {
    const { locked } = await readOne<{ locked: boolean }>(
      control,
      sql`
      select exists (
        select from pg_locks where relation = to_regclass(${quoted(table).text}) and pid is distinct from ${pid}
          and database = (select oid from pg_database where datname = current_database())
          and mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')) as locked`,
    )
    if (!locked || signal.aborted) return
    await sleep(LOOK_EVERY_MS)
  }
}

async function hasForeign(session: Session, table: TableName): Promise<boolean> {
  const { foreign } = await readOne<{ foreign: boolean }>(
    session,
    sql`
    select exists (select from pg_partition_tree(to_regclass(${quoted(table).text})) t join pg_class c on c.oid = t.relid where c.relkind = 'f') as foreign`,
  )
  return foreign
}

async function resetVacuum(session: Session): Promise<void> {
  await session.query("reset vacuum_cost_delay; reset vacuum_cost_limit; set search_path to ''").catch(() => {})
}

/** Counts what matches now, for the report. */
export async function check({ work, left }: CheckStep, context: RunContext): Promise<void> {
  const { session, journalSchema, lease } = context
  const remaining = await withPurgeSettings(context, async () => {
    const matching = await countRemaining(work, context)
    return left === undefined ? matching : { ...matching, left: await countLeft(left.work, context, left.sets) }
  })
  await inTransaction(session, {}, async () => {
    await assertLease(session, journalSchema, lease)
    await noteOutcome(session, journalSchema, context.runId, remaining)
  })
}

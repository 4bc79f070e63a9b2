import { readAll, withSession, type Session, type Target } from '../../db/session.ts'
import { EbbError, NOTHING_CHANGED, UsageError } from '../../errors.ts'
import { doneSteps, endRun, type Run } from '../../journal/journal.ts'
import { planAbandon } from '../../plan/partition/abandon.ts'
import { planAbandonCandidates } from '../../plan/purge/candidates.ts'
import { planAbandonMark } from '../../plan/purge/mark.ts'
import type { ConversionSummary } from '../../plan/partition/partition.ts'
import { planAbandonPurge } from '../../plan/purge/purge.ts'
import { planAbandonRebuild, planLeaving } from '../../plan/copy/undo.ts'
import type { Plan } from '../../plan/language/step.ts'
import { planAbandonView } from '../../plan/view/view.ts'
import { display, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { assertLatest } from '../command.ts'
import { executeRun } from '../execute.ts'
import type { EngineOptions } from '../options.ts'
import { FORMAT, SWAPS } from '../stored-plan.ts'
import { withTable, type TableContext } from '../table-context.ts'
import { findRun, type RunChoice } from './find-run.ts'
import { conversionOf, isCopy, known, rebuildOf, type KnownRun } from './known.ts'
import type { RunResult } from './result.ts'
import { REVERSIBLE } from './reversible.ts'

/** What abandoning an unfinished run would do. */
export async function planAbandonOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<Plan & { readonly runId: string }> {
  const { run, done } = await findRun(target, choice, options)
  const present = await withSession(target, 'plan abandon', (session) => presentName(session, run))
  return { ...abandonment(run, done, present), runId: run.id }
}

/** Undoes the preparations of an unfinished run, so that the table is as it was. */
export async function abandon(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run, done } = await findRun(target, choice, options)
  assertAbandonable(run, done)
  return withTable({ target, server, ...options, command: 'abandon' }, run.table, async (context) => {
    await assertLatest(context, run.table, run)
    return takeBack(run, context, options)
  })
}

/** The same, by the lease that is held already. */
export async function takeBack(
  run: Run,
  context: TableContext,
  { lockLimits }: Pick<EngineOptions, 'lockLimits'>,
): Promise<RunResult> {
  const done = await doneSteps(context.session, context.journalSchema, run.id)
  const plan = abandonment(run, done, await presentName(context.session, run))
  const steps = await executeRun(run.id, plan.steps, context, { lockLimits })
  // What has been swapped can be rolled back, and retired.
  await endRun(context.session, context.journalSchema, run.id, hasSwapped(done) ? 'done' : 'abandoned', { steps })
  return { runId: run.id, plan, steps }
}

function hasSwapped(done: ReadonlySet<string>): boolean {
  return SWAPS.some((key) => done.has(key))
}

// A run of an earlier version cannot be gone on with, so there must be an end to it, whatever it has done.
function assertAbandonable(run: Run, done: ReadonlySet<string>): void {
  if (run.status !== 'running') throw notUnfinished(run)
  if (hasSwapped(done) && run.format === FORMAT) throw pastTheSwap(run)
}

function abandonment(found: Run, done: ReadonlySet<string>, present: TableName | null): Plan {
  const run = known(found)
  assertAbandonable(run, done)
  if (hasSwapped(done)) return leaving(run, done)
  switch (run.command) {
    case 'partition':
      return abandonConversion(run.id, conversionOf(run), run.table, present)
    case 'partition-copy':
    case 'rebuild':
    case 'split':
      return planAbandonRebuild(run.id, rebuildOf(run), present, done)
    case 'purge':
      return planAbandonPurge(run.id, run.table)
    case 'mark':
      return planAbandonMark(run.id, run.table)
    case 'view':
      return planAbandonView(run.id, run.table)
    case 'candidates':
      return planAbandonCandidates(run.id, run.plan)
    case 'rollback':
      return planAbandon(run.id, { table: run.table, guard: null, index: run.plan.index })
  }
}

/** The run comes to an end where it is. */
function leaving(run: KnownRun, done: ReadonlySet<string>): Plan {
  const undone = run.plan.steps.filter(({ key }) => !done.has(key)).map(({ title }) => title)
  return planLeaving(run.id, run.table, undone, isCopy(run) ? rebuildOf(run) : null)
}

function abandonConversion(
  runId: string,
  { primaryKey, guard }: ConversionSummary,
  former: TableName,
  present: TableName | null,
): Plan {
  const table = present ?? former
  const index = primaryKey === null ? null : { schema: table.schema, name: primaryKey.index }
  return planAbandon(runId, { table, guard: present === null ? null : guard, index })
}

/** What the run's table is called now, or null when it is gone: somebody may have renamed or dropped it. */
async function presentName(session: Session, run: Run): Promise<TableName | null> {
  const source = sourceOf(run)
  if (source === null) return run.table
  const [name] = await readAll<{ schema: string; name: string }>(
    session,
    sql`
    select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = ${source}::oid and c.relkind = 'r'`,
  )
  return name ?? null
}

/** Of the table beside which a run puts something; null where it puts nothing. */
function sourceOf(found: Run): string | null {
  const run = known(found)
  if (run.command === 'partition') return conversionOf(run).former.oid
  return isCopy(run) ? rebuildOf(run).sourceOid : null
}

function notUnfinished(run: Run): UsageError {
  const next =
    run.status === 'done' && REVERSIBLE.includes(run.command) ? `To go back: ebb rollback ${run.id}` : 'See ebb status.'
  return new UsageError(`run ${run.id} is ${run.status}, so there is nothing to abandon`, next)
}

function pastTheSwap(run: Run): EbbError {
  return new EbbError(
    `run ${run.id} has swapped ${display(run.table)} already; what is left is harmless`,
    {
      state: NOTHING_CHANGED,
      next: `Finish it with ebb resume ${run.id}${REVERSIBLE.includes(run.command) ? '; then ebb rollback can go back' : ''}.`,
    },
    'objections',
  )
}

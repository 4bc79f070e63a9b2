import { readLackingParts } from '../../catalog/partitions/lacking-parts.ts'
import { readBeside } from '../../catalog/partitions/default-partition.ts'
import { readPartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { findTable } from '../../catalog/table/read-table.ts'
import { readServer } from '../../catalog/server-model.ts'
import type { Session, Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { ObjectionsError, UsageError } from '../../errors.ts'
import type { LockTimes } from '../../events.ts'
import { holdRows } from '../../journal/holds.ts'
import { journalExists, latestRun } from '../../journal/journal.ts'
import { begunRetirementOf, endRetirement, isWritten } from '../../journal/rotations.ts'
import { registeredSets } from '../../journal/sets.ts'
import {
  planReattach,
  type ReattachPlan,
  type ReattachRequest,
  type ReattachSituation,
} from '../../plan/rotate/plan-reattach.ts'
import { boundsCondition } from '../../plan/rotate/reattach.ts'
import { display, type TableName } from '../../sql/names.ts'
import { raw } from '../../sql/sql.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { afterOthers } from '../after-others.ts'
import { readPatiently } from '../locks/patiently.ts'
import { LOCK_LIMITS } from '../locks/short-locks.ts'
import type { EngineOptions } from '../options.ts'
import { isDetached, perform, write } from '../rotate/partition-step.ts'
import { changed } from '../steps/detach.ts'
import type { Hooks } from '../steps/perform.ts'
import { withTable, type TableContext } from '../table-context.ts'

// Attaches a partition again that a rotation has detached and not dropped yet. Each step is a transaction, or may be
// repeated, so after an interruption the same command does the rest.

export type { ReattachPlan, ReattachRequest } from '../../plan/rotate/plan-reattach.ts'

/** The outcome. */
export interface Reattached {
  readonly table: TableName
  readonly partition: TableName
  readonly lock: LockTimes | null
}

/** Plans to attach a detached partition again. Reads only. */
export function planReattachOf(
  target: Target,
  partition: WrittenName,
  request: ReattachRequest,
  options: EngineOptions,
): Promise<ReattachPlan> {
  return readPatiently(target, 'plan reattach', options, async (session) =>
    planReattach(await readSituation(session, partition, options), request),
  )
}

/**
 * Attaches a detached partition again.
 *
 * @throws {UsageError} where it was not detached by a rotation
 * @throws {ObjectionsError} where it no longer fits
 */
export async function reattach(
  target: Target,
  partition: WrittenName,
  request: ReattachRequest,
  options: EngineOptions,
): Promise<Reattached> {
  const { server, plan } = await readPatiently(target, 'plan reattach', options, async (session) => {
    const situation = await readSituation(session, partition, options)
    return { server: situation.server, plan: planReattach(situation, request) }
  })
  assertUnobjected(plan)
  const { table } = plan
  return afterOthers(target, table, options, () =>
    withTable({ target, server, ...options, command: 'reattach' }, table, async (context) => {
      // Nobody else works on the table now.
      const situation = await readSituation(context.session, partition, options)
      const now = planReattach(situation, request)
      assertUnobjected(now)
      return carryOut(context, situation, now, request, options)
    }),
  )
}

function assertUnobjected(plan: ReattachPlan): void {
  if (plan.objections.length > 0) throw new ObjectionsError('reattach', plan)
}

async function carryOut(
  context: TableContext,
  { set }: ReattachSituation,
  plan: ReattachPlan,
  request: ReattachRequest,
  { lockLimits = LOCK_LIMITS }: EngineOptions,
): Promise<Reattached> {
  if (set === null) throw new Error('what is no longer partitioned is an objection')
  const { session, journalSchema } = context
  const { begun, steps, hold } = plan
  const { oid, called: name, bounds, bytes, estimatedRows } = begun
  const leaving = { oid, name, boundsText: bounds, bytes, estimatedRows, range: null }
  const last: Hooks = {
    check: async () => {
      await isDetached({ context, set }, leaving)
      if (!request.accept.includes('written') && (await isWritten(session, journalSchema, oid)))
        throw changed(name, 'it was written to')
    },
    alongside: () => [
      write({ context, set }, leaving, 'reattached'),
      endRetirement(session, journalSchema, oid),
      ...(hold === null ? [] : [holdRows(session, journalSchema, null, { table: set.name, bounds, keep: hold })]),
    ],
  }
  let lock: LockTimes | null = null
  for (const step of steps)
    lock = await perform({ context, lockLimits, steps }, step, step === steps.at(-1) ? last : { alongside: () => [] })
  return { table: set.name, partition: name, lock }
}

function readSituation(
  session: Session,
  partition: WrittenName,
  { journalSchema }: EngineOptions,
): Promise<ReattachSituation> {
  return inSnapshot(session, async () => {
    const server = await readServer(session, journalSchema)
    const name = await findTable(session, partition)
    const known = name !== undefined && (await journalExists(session, journalSchema))
    const begun = known ? await begunRetirementOf(session, journalSchema, name) : undefined
    if (begun === undefined) throw notDetached(partition)
    const [registered] = await registeredSets(session, journalSchema, begun.table)
    const set = await readPartitionedTable(session, begun.table, registered?.policy.kind ?? null)
    const run = await latestRun(session, journalSchema, begun.table)
    return {
      server,
      journalSchema,
      begun,
      set: set ?? null,
      beside: set?.key == null ? null : await readBeside(session, set, raw(boundsCondition(set, begun.bounds))),
      lacking: set === undefined ? [] : await readLackingParts(session, set.oid, begun.oid),
      unfinished: run?.status === 'running' ? { id: run.id, command: run.command } : null,
    }
  })
}

function notDetached({ schema, name }: WrittenName): UsageError {
  return new UsageError(
    `${schema === null ? name : display({ schema, name })} is not a partition that ebb rotate has detached and would drop`,
    'ebb status lists those that are. What was dropped is restored from its archive: ebb restore <receipt>.',
  )
}

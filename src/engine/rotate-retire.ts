import { parseBounds } from '../catalog/partition-bounds.ts'
import type { Partition, PartitionedTable } from '../catalog/partitioned-table.ts'
import { inTransaction } from '../db/session.ts'
import { codeOf, isConnectionLost, SQLSTATE } from '../db/sqlstate.ts'
import { EbbError, EXIT, reasonOf } from '../errors.ts'
import { assertLease } from '../journal/lease.ts'
import {
  beginRetirement,
  endRetirement,
  forgetNewest,
  recordRotation,
  rememberNewest,
  type RotationAction,
} from '../journal/rotations.ts'
import { exclusive } from '../plan/locks.ts'
import type { Newest } from '../plan/rotate-begun.ts'
import type { Finalization, Leftover, Retirement, RotationPlan } from '../plan/rotate-plan.ts'
import type { BriefStep } from '../plan/step.ts'
import type { LockTimes } from '../report/events.ts'
import { display, quoted, type TableName } from '../sql/names.ts'
import { ident, join, literal, raw, sql } from '../sql/sql.ts'
import { underBriefLocks, type Patience } from './brief.ts'
import { sessionsOf } from './execute.ts'
import { detachConcurrently, oldSnapshotsGone, readState } from './rotate-detach.ts'
import { readAge } from './rotate-read.ts'
import { watched } from './watch.ts'
import type { Workplace } from './workplace.ts'

// Taking one partition out of its set. What always holds:
//
//   - An intention is in the journal before the detach, and goes when the
//     partition has gone: whatever is interrupted is found by the next run.
//   - Who is removed is decided by oid, name and bounds together, asked again
//     right before, and under the lock where there is one.
//   - With ids, where bounds say nothing about age, the rows are looked at again
//     when nobody can change them through the parent any more, and before the drop.

/** What a retirement has come to. */
export interface Retired {
  readonly outcome: 'dropped' | 'detached' | 'truncated' | 'reattached'
  readonly lock: LockTimes | null
}

export interface RetireContext {
  readonly place: Workplace
  readonly set: PartitionedTable
  readonly plan: RotationPlan
  readonly patience: Patience
}

/** Retires one partition. */
export async function retire(context: RetireContext, retirement: Retirement): Promise<Retired> {
  const { partition, method, steps } = retirement
  await stillAsPlanned(context, partition)
  if (method === 'truncate') return truncate(context, retirement)

  const [first, drop] = steps
  if (first === undefined) throw new Error('a retirement has steps')
  const { place, set } = context
  await beginRetirement(place.session, place.journalSchema, {
    oid: partition.oid,
    table: set.name,
    partition: partition.name,
    method,
    bounds: partition.boundsText,
    bytes: partition.bytes,
    estimatedRows: partition.estimatedRows,
  })
  const lock = await detach(context, retirement, first).catch(async (error: unknown) => {
    await forgetIntention(context, partition).catch(() => {}) // the first error tells more
    throw error
  })
  if (drop?.kind !== 'brief') return { outcome: 'detached', lock }
  return worse(lock, await dropUnlessYoung(context, partition, drop))
}

/** Nothing is on its way out that is still attached. */
async function forgetIntention({ place, set }: RetireContext, partition: Partition): Promise<void> {
  const { state } = await readState(place.session, set.name, partition)
  if (state === 'attached') await endRetirement(place.session, place.journalSchema, partition.oid)
}

async function detach(
  context: RetireContext,
  { partition, method }: Retirement,
  step: Retirement['steps'][number],
): Promise<LockTimes | null> {
  const { place, patience } = context
  const record = async () => {
    await write(context, partition, 'detached')
    // Nothing else is intended, so the intention is fulfilled.
    if (method === 'detach') await endRetirement(place.session, place.journalSchema, partition.oid)
  }
  if (step.kind === 'brief') return brief(context, step, record, () => stillAsPlanned(context, partition))

  const state = await detachConcurrently(step, partition.oid, place, patience)
  if (state === 'half detached') return finish(context, { partition, step: step.finalize }, record)
  if (state === 'gone') throw changed(partition.name, 'it is gone')
  await inTransaction(place.session, {}, record)
  return null
}

/** Finishes a detach that was interrupted, by us or by anybody. */
export async function finish(
  context: Pick<RetireContext, 'place' | 'patience'>,
  { step }: Finalization,
  record: () => Promise<void>,
): Promise<LockTimes> {
  await oldSnapshotsGone(context.place, context.patience.deadlineMs)
  return brief(context, step, record)
}

/** Drops what an earlier rotation has detached. */
export async function dropLeftover(context: RetireContext, { begun, step }: Leftover): Promise<Retired> {
  const partition = {
    oid: begun.oid,
    name: begun.partition,
    boundsText: begun.bounds,
    bytes: begun.bytes,
    estimatedRows: begun.estimatedRows,
    range: null,
  }
  return dropUnlessYoung(context, partition, step)
}

/** What is known of a partition on its way out. */
type Leaving = Pick<Partition, 'oid' | 'name' | 'boundsText' | 'bytes' | 'estimatedRows' | 'range'>

async function dropUnlessYoung(context: RetireContext, partition: Leaving, step: BriefStep): Promise<Retired> {
  const young = await youngest(context, partition)
  if (young !== null) return attachAgain(context, partition, young)
  const { place } = context
  const lock = await brief(
    context,
    step,
    async () => {
      await write(context, partition, 'dropped')
      await endRetirement(place.session, place.journalSchema, partition.oid)
      await forgetNewest(place.session, place.journalSchema, partition.oid)
    },
    () => isDetached(context, partition),
  )
  return { outcome: 'dropped', lock }
}

/** Of a set by id, the newest time in a partition if that has not expired after all. */
async function youngest(context: RetireContext, partition: Leaving): Promise<Newest | null> {
  const { place, set, plan } = context
  if (plan.policy === null || plan.policy.kind !== 'id' || plan.horizon === null) return null
  const { policy, horizon } = plan
  const newest = await watched(place.control, place.pid, place.observer, () =>
    readAge(place.session, set, policy, partition),
  )
  if (newest === 'empty' || (newest !== 'never' && newest < horizon.position)) return null
  return newest
}

/**
 * Somebody has written a row that is to be kept. PostgreSQL would read the
 * whole partition under lock to know that it fits: the CHECK proves it before.
 */
async function attachAgain(context: RetireContext, partition: Leaving, newest: Newest): Promise<Retired> {
  const { place, set } = context
  const proof = await proveBounds(context, partition)
  const table = quoted(partition.name)
  const step: BriefStep = {
    kind: 'brief',
    key: `attach:${display(partition.name)}`,
    title: `attach ${display(partition.name)} again`,
    because: 'a row in it is to be kept after all',
    locks: [
      { table: set.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' },
      ...set.references.map(exclusive),
    ],
    cost: 'milliseconds: that its rows fit is proven',
    quiet: partition.name,
    acquire: [],
    statements: [
      sql`alter table ${quoted(set.name)} attach partition ${table} ${raw(partition.boundsText)}`.text,
      ...proof.map((name) => sql`alter table ${table} drop constraint ${raw(name)}`.text),
    ],
  }
  const lock = await brief(
    context,
    step,
    async () => {
      await write(context, partition, 'reattached')
      await endRetirement(place.session, place.journalSchema, partition.oid)
      await rememberNewest(place.session, place.journalSchema, set.name, partition, newest)
    },
    () => isDetached(context, partition),
  )
  return { outcome: 'reattached', lock }
}

const PROOF = 'ebb_bounds'

/** Says and validates that the rows lie within the bounds. Returns the constraint's name, quoted, to be dropped afterwards. */
async function proveBounds(context: RetireContext, partition: Leaving): Promise<string[]> {
  const { place, set } = context
  const condition = boundsCondition(set, partition)
  const table = quoted(partition.name)
  const work = async () => {
    await place.session.query(sql`alter table ${table} drop constraint if exists ${raw(PROOF)}`)
    await place.session.query(
      `${sql`alter table ${table} add constraint ${raw(PROOF)}`.text} check (${condition}) not valid`,
    )
    await place.session.query(sql`alter table ${table} validate constraint ${raw(PROOF)}`)
  }
  await watched(place.control, place.pid, place.observer, work)
  return [PROOF]
}

function boundsCondition(set: PartitionedTable, { boundsText }: Leaving): string {
  const bounds = rangeIn(boundsText)
  const key = set.key
  if (bounds === null || key === null) throw new Error(`bounds that were understood no longer are: ${boundsText}`)
  const column = ident(key.column)
  const value = (text: string) => sql`${literal(text)}::${raw(key.type)}`
  const parts = [
    sql`${column} is not null`,
    ...(bounds.from === null ? [] : [sql`${column} >= ${value(bounds.from)}`]),
    ...(bounds.to === null ? [] : [sql`${column} < ${value(bounds.to)}`]),
  ]
  return join(parts, ' and ').text
}

async function truncate(context: RetireContext, { partition, steps }: Retirement): Promise<Retired> {
  const [step] = steps
  if (step?.kind !== 'brief') throw new Error('truncating is one brief step')
  const { place } = context
  const lock = await brief(
    context,
    step,
    async () => {
      await write(context, partition, 'truncated')
      await forgetNewest(place.session, place.journalSchema, partition.oid)
    },
    async () => {
      await stillAsPlanned(context, partition)
      const newest = await youngest(context, partition)
      if (newest !== null) throw changed(partition.name, 'a row in it is to be kept after all')
    },
  )
  return { outcome: 'truncated', lock }
}

/** Right before, and under the lock where there is one: the same relation, in the same place, with the same bounds. */
async function stillAsPlanned({ place, set }: RetireContext, partition: Partition): Promise<void> {
  const { state, boundsText } = await readState(place.session, set.name, partition)
  if (state !== 'attached') throw changed(partition.name, `it is ${state} by now`)
  if (boundsText !== partition.boundsText) throw changed(partition.name, `its bounds are ${boundsText} by now`)
}

async function isDetached({ place, set }: RetireContext, partition: Leaving): Promise<void> {
  const { state } = await readState(place.session, set.name, partition)
  if (state !== 'detached') throw changed(partition.name, `it is ${state}`)
}

/** One brief step with its line in the journal, and what must be true under the lock. */
export async function brief(
  { place, patience }: Pick<RetireContext, 'place' | 'patience'>,
  step: BriefStep,
  record: () => Promise<void>,
  check: () => Promise<void> = async () => {},
): Promise<LockTimes> {
  try {
    return await underBriefLocks(sessionsOf(place), step, patience, place.observer, place.signal, async () => {
      await assertLease(place.session, place.journalSchema, place.lease)
      await check()
      await place.session.query(step.statements.join(';\n'))
      await record()
    })
  } catch (error) {
    throw explained(step, error)
  }
}

/** A line in the journal about a partition that is on its way out, or stays after all. */
export async function write(
  { place, set }: Pick<RetireContext, 'place' | 'set'>,
  partition: Leaving,
  action: RotationAction,
): Promise<void> {
  const bounds = rangeIn(partition.boundsText)
  await recordRotation(place.session, place.journalSchema, {
    table: set.name,
    partition: partition.name,
    action,
    from: bounds?.from ?? null,
    to: bounds?.to ?? null,
    bytes: partition.bytes,
    estimatedRows: partition.estimatedRows,
  })
}

function rangeIn(boundsText: string) {
  const bounds = parseBounds(boundsText)
  return bounds?.kind === 'range' ? bounds : null
}

/** The longer of two, for the one line of a report; attempts are summed. */
function worse(a: LockTimes | null, { outcome, lock: b }: Retired): Retired {
  if (a === null || b === null) return { outcome, lock: a ?? b }
  return {
    outcome,
    lock: {
      attempts: a.attempts + b.attempts,
      heldMs: Math.max(a.heldMs, b.heldMs),
      longestWaitCausedMs: Math.max(a.longestWaitCausedMs, b.longestWaitCausedMs),
    },
  }
}

function changed(partition: TableName, how: string): EbbError {
  return new EbbError(`${display(partition)} is not what it was when the plan was made: ${how}`, {
    state: 'It has been left as it is.',
    next: 'Look at what somebody else does with this set; the next rotation plans anew.',
  })
}

function explained(step: BriefStep, error: unknown): unknown {
  const code = codeOf(error)
  if (error instanceof EbbError || code === undefined || isConnectionLost(error)) return error
  const reason = reasonOf(error)
  const slow = code === SQLSTATE.queryCanceled ? ' (it took too long under lock, or somebody cancelled it)' : ''
  return new EbbError(
    `${step.title}: ${reason}${slow}`,
    { state: 'This step has been undone; what was done before it is kept.', next: nextAfter(code) },
    EXIT.failed,
    error,
  )
}

function nextAfter(code: string): string {
  if (code === SQLSTATE.checkViolation)
    return 'The default partition holds rows that belong into the new one: move them out of it, then rotate again.'
  if (code === SQLSTATE.queryCanceled)
    return 'Where there is a default partition, give it a valid CHECK that excludes what is to come, so that it need not be read; then rotate again.'
  return 'Remove the cause, then rotate again: it goes on from here.'
}

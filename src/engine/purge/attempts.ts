import { setTimeout as sleep } from 'node:timers/promises'
import { describeHolder, readHolders } from '../../db/holders.ts'
import { readAll } from '../../db/query.ts'
import { inTransaction } from '../../db/transaction.ts'
import { askUnder, underSettings } from '../../db/settings.ts'
import { isLockRefused } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { assertLease } from '../../journal/lease.ts'
import { leaveRange, type LeftRange } from '../../journal/purges.ts'
import { ACTION_TEXTS } from '../../plan/purge/action-sql.ts'
import { amongCandidates } from '../../plan/purge/candidate-sql.ts'
import { positionStatement, spanStatement } from '../../plan/purge/positions.ts'
import type { PurgeLeaf } from '../../plan/purge/work.ts'
import { display, quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { showRows } from '../../text/units.ts'
import { Standstill } from '../locks/standstill.ts'
import type { TableContext } from '../table-context.ts'
import { runWithAhead } from './ahead.ts'
import {
  blockOf,
  CrowdedError,
  isToBeRetried,
  rangeOf,
  tookTooLong,
  type BatchOrder,
  type BatchOutcome,
} from './batch.ts'
import { lockedOf, record, type Purging } from './purging.ts'
import { refusalOf } from './refusal.ts'

/** After a lock was refused, so many batches go around locked rows from the start. */
const CAREFUL_BATCHES = 20
/** More are not looked at once a batch has taken too long. */
const MOST_ENTRIES = 100_000
/** A row that is not to be had after so many attempts is left for later. */
const MOST_ATTEMPTS = 6

/** The manner of the next batch: looking for locked rows costs twice the time and a third more WAL. */
export function mannerOf({ work, tally }: Purging): 'quick' | 'careful' {
  const { columns, reasons } = work.dependents
  return columns.length > 0 || reasons.length > 0 || tally.careful > 0 ? 'careful' : 'quick'
}

/** What came of a batch. */
export interface Done {
  readonly outcome: BatchOutcome
  /** Where the next one begins; null at the end of the range. */
  readonly next: string | null
}

/**
 * Executes one batch of a walk, with fewer rows and a little later if locks are in
 * the way. Rows that stay locked are recorded as left, and skipped.
 */
export async function walkBatch(purging: Purging, wanted: BatchOrder): Promise<Done> {
  const { context, tally } = purging
  const began = performance.now()
  let order =
    tally.few === null ? wanted : { ...wanted, manner: 'careful' as const, limit: Math.min(wanted.limit, tally.few) }
  for (let attempts = 1; ; attempts++) {
    try {
      const outcome = await runWithAhead(purging, order, (outcome) =>
        settleWalk(purging, order, outcome, performance.now() - began - tally.aheadMs),
      )
      tally.careful = Math.max(0, tally.careful - 1)
      if (tally.few !== null) tally.few = order.limit * 4 < wanted.limit ? order.limit * 4 : null
      if (tally.entries !== null) tally.entries = Math.min(MOST_ENTRIES, tally.entries * 2)
      return { outcome, next: nextPosition(order, outcome) }
    } catch (error) {
      if (!isToBeRetried(error, context.signal)) throw error
      const slow = tookTooLong(error)
      if (order.manner !== 'careful' && !slow) attempts = 0
      if (!slow) tally.careful = CAREFUL_BATCHES
      if (error instanceof CrowdedError) {
        order = lesser({ ...order, limit: Math.max(1, Math.min(order.limit, error.found)) })
        tally.few = order.limit
        continue
      }
      const refused = refusalOf(error)
      // What made it so a moment ago is seen by the next statement.
      if (refused !== null && order.limit === 1 && attempts > 1) {
        noteRefused(purging, refused)
        return passOver(purging, order, refused)
      }
      if (order.limit === 1 && attempts >= MOST_ATTEMPTS) {
        if (!(await waitForTable(purging, order.leaf, error))) return passOver(purging, order, null)
        attempts = 0
        order = wanted
      }
      const ms = attempts === 0 || slow || refused !== null ? 0 : pause(attempts)
      await sleep(ms, undefined, { signal: context.signal })
      order = slow ? await shorter(purging, order) : lesser(order)
    }
  }
}

/** Where so many come before any has gone, something stands against all of them. */
const MOST_REFUSED_AT_FIRST = 100

function noteRefused({ work, context, tally }: Purging, why: string): void {
  tally.few = 1
  if (tally.refused === null) return
  if (tally.refused === 0) context.observer({ type: 'note', text: `rows that are refused are set aside: ${why}` })
  tally.refused = tally.rows > 0 ? null : tally.refused + 1
  if (tally.refused !== MOST_REFUSED_AT_FIRST) return
  throw new EbbError(
    `the first ${showRows(tally.refused)} of ${display(work.table)} that match have all been refused: ${why}`,
    {
      state: `No row is ${ACTION_TEXTS[work.action.kind].done}.`,
      next: `Remove the cause, or end this run (ebb abandon ${context.runId} --execute) and leave such rows out by the condition. If others come after them, run the same command again: it resumes after these.`,
    },
  )
}

// Going around locked rows comes first; only then fewer rows.
function lesser(order: BatchOrder): BatchOrder {
  if (order.manner !== 'careful') return { ...order, manner: 'careful' }
  return { ...order, limit: Math.max(1, Math.floor(order.limit / 4)) }
}

/** With less to look at, for that is what takes the time where few rows match. */
async function shorter(purging: Purging, order: BatchOrder): Promise<BatchOrder> {
  const { leaf, after, upto } = order
  const limit = Math.max(1, Math.floor(order.limit / 4))
  if (leaf.walk.kind === 'key') {
    const { tally } = purging
    tally.entries = Math.max(1, Math.floor((tally.entries ?? MOST_ENTRIES) / 4))
    return { ...order, limit, upto: await endOfSpan(purging, leaf, after, upto) }
  }
  const first = blockOf(after ?? '')
  const blocks = Math.floor((blockOf(upto ?? '') - first) / 4)
  return { ...order, limit, upto: `(${first + Math.max(1, blocks)},0)` }
}

/** Along an index: where as many entries end as a batch can look at in its time; `upto` where that is not known, or there are fewer. */
export async function endOfSpan(
  { tally, context, work }: Purging,
  leaf: PurgeLeaf,
  after: string | null,
  upto: string | null,
): Promise<string | null> {
  if (tally.entries === null || leaf.walk.kind === 'blocks' || amongCandidates(leaf.walk)) return upto
  const statement = spanStatement(leaf, leaf.walk, rangeOf({ leaf, after, upto }), sql`${tally.entries}`)
  const [end] = await askUnder(context.session, work.settings, () =>
    readAll<{ position: string }>(context.session, statement),
  )
  return end?.position ?? upto
}

/** 20 ms at first, up to a second, at random: those who met once must not meet again. */
export function pause(attempts: number): number {
  return Math.min(1_000, 10 * 2 ** attempts) * (0.5 + Math.random())
}

function nextPosition({ upto, limit, manner }: BatchOrder, { found, position }: BatchOutcome): string | null {
  return manner !== 'range' && found < limit ? upto : position
}

async function settleWalk(
  purging: Purging,
  order: BatchOrder,
  outcome: BatchOutcome,
  milliseconds: number,
): Promise<void> {
  if (outcome.found === 0) return
  const { context } = purging
  const upto = nextPosition(order, outcome) ?? outcome.position
  const { leaf, after } = order
  await record(purging, { pass: 'walk', leaf: leaf.name, after, upto }, outcome, milliseconds)
  if (upto === null) return
  for (const left of leftOf(outcome))
    await leaveRange(context.session, context.journalSchema, context.runId, {
      ...left,
      leaf: leaf.name,
      after,
      upto: outcome.position ?? upto,
    })
}

/** What a batch has to come back for. Rows behind others are come back for as a whole range: which ones could go then depends on the others. */
export function leftOf(outcome: BatchOutcome): Pick<LeftRange, 'rows' | 'reason' | 'why'>[] {
  const { behind, stayed } = outcome
  const locked = lockedOf(outcome)
  if (locked > 0) return [{ rows: locked + behind + stayed, reason: 'locked', why: null }]
  if (behind > 0) return [{ rows: behind + stayed, reason: 'behind', why: null }]
  return stayed > 0 ? [{ rows: stayed, reason: 'refused', why: 'a trigger keeps them' }] : []
}

/** The next row is locked, or is `refused` (why): it is skipped, and the walk continues after it. */
async function passOver(purging: Purging, { leaf, after, upto }: BatchOrder, refused: string | null): Promise<Done> {
  const { work, context } = purging
  const { session, journalSchema, lease } = context
  const nothing = { held: 0, gone: 0, behind: 0, stayed: 0, around: {} }
  return inTransaction(session, {}, async () => {
    const [row] = await underSettings(session, work.settings, () =>
      readAll<{ position: string }>(session, positionStatement(work, leaf, rangeOf({ leaf, after, upto }))),
    )
    if (row === undefined) return { outcome: { ...nothing, found: 0, position: null }, next: upto }
    const { position } = row
    const outcome = { ...nothing, found: 1, position }
    await assertLease(session, journalSchema, lease)
    const left = { rows: 1, reason: refused === null ? ('locked' as const) : ('refused' as const), why: refused }
    await leaveRange(session, journalSchema, context.runId, { ...left, leaf: leaf.name, after, upto: position })
    await record(purging, { pass: 'walk', leaf: leaf.name, after, upto: position }, outcome, 0)
    return { outcome, next: position }
  })
}

const LOOK_EVERY_MS = 500

/** Where the table as a whole is locked, comes back when it is no more; gives up at the deadline. False where it is only rows. */
export async function waitForTable(
  { context }: Pick<Purging, 'context'>,
  { name }: PurgeLeaf,
  cause: unknown,
): Promise<boolean> {
  const deadline = performance.now() + context.lockLimits.deadlineMs
  const standstill = new Standstill(context.control, context.lockLimits)
  let waited = false
  while (await isTableLocked(context, name)) {
    const holders = await readHolders(context.control, [name], context.pid)
    const who = holders.slice(0, 3).map(describeHolder).join('; ')
    await standstill.look(holders.map(({ pid }) => pid))
    if (performance.now() > deadline) throw tableLocked(display(name), who, cause)
    context.observer({ type: 'waiting', reason: `for the lock on ${display(name)}: ${who}` })
    await sleep(LOOK_EVERY_MS, undefined, { signal: context.signal })
    waited = true
  }
  return waited
}

async function isTableLocked({ session }: TableContext, name: PurgeLeaf['name']): Promise<boolean> {
  try {
    await inTransaction(session, {}, () =>
      session.query(sql`lock table only ${quoted(name)} in row exclusive mode nowait`.text),
    )
    return false
  } catch (error) {
    if (!isLockRefused(error)) throw error
    return true
  }
}

function tableLocked(table: string, who: string, cause: unknown): EbbError {
  return new EbbError(
    `${table} is locked as a whole by ${who}`,
    {
      state: 'The batches so far are done, and recorded.',
      next: 'Run the same command again later: it resumes from here.',
    },
    'try later',
    cause,
  )
}

import { setTimeout as sleep } from 'node:timers/promises'
import { readShards } from '../../../catalog/partitions/stored-leaves.ts'
import { readAll } from '../../../db/query.ts'
import { askUnder } from '../../../db/settings.ts'
import { inTransaction } from '../../../db/transaction.ts'
import { workClock } from '../../../db/work-clock.ts'
import { assertLease } from '../../../journal/lease.ts'
import { leaveRange, type LeftRange } from '../../../journal/purges.ts'
import { spanStatement } from '../../../plan/purge/positions.ts'
import type { PurgeLeaf } from '../../../plan/purge/work.ts'
import { sql } from '../../../sql/sql.ts'
import { pause, waitForTable } from '../attempts.ts'
import { blockOf, isToBeRetried, rangeOf, type BatchOutcome } from '../batch.ts'
import { count, record, type Purging } from '../purging.ts'
import { refusalOf } from '../refusal.ts'
import { runStoredBatch, type StoredRange } from './batch.ts'
import { countRange } from './count.ts'

/** Goes through a leaf that Citus stores. */
export function walkStored(purging: Purging, leaf: PurgeLeaf, from: string | null, index: number): Promise<void> {
  return leaf.stored === 'copies' ? walkCopies(purging, leaf, from, index) : walkShards(purging, leaf, from, index)
}

/** A range, and a smaller one from the same beginning; null where it cannot be smaller. */
interface Span extends StoredRange {
  shorter(): Promise<Span | null>
}

async function walkShards(purging: Purging, leaf: PurgeLeaf, from: string | null, index: number): Promise<void> {
  const shards = await readShards(purging.context.session, leaf.name)
  const blocks = Math.max(0, ...shards.map((shard) => shard.blocks))
  let after = from ?? '(0,0)'
  // All rows at first, as if each matched: what a statement deletes has no other limit.
  let density = leaf.rowsPerBlock ?? leaf.estimatedRows / Math.max(leaf.blocks, 1)
  while (blockOf(after) < blocks) {
    const { rows } = await takeTurn(purging)
    const end = Math.min(blocks, blockOf(after) + Math.max(1, Math.round(rows / (density + 1))))
    const clock = workClock(purging.context.session)
    const { upto, outcome } = await walkSpan(purging, blockSpan(leaf, after, end))
    const walked = Math.max(1, blockOf(upto ?? '') - blockOf(after))
    density = Math.max(outcome.found / walked, density / 2)
    count(purging.tally, outcome, outcome.found + walked, clock())
    after = `(${blockOf(after) + walked},0)`
    purging.progress(index, blockOf(after), purging.tally.rows)
  }
}

function blockSpan(leaf: PurgeLeaf, after: string, end: number): Span {
  const blocks = end - blockOf(after)
  const shorter = () => Promise.resolve(blocks <= 1 ? null : blockSpan(leaf, after, end - Math.ceil(blocks * 0.75)))
  return { leaf, after, upto: `(${end},0)`, shorter }
}

async function walkCopies(purging: Purging, leaf: PurgeLeaf, from: string | null, index: number): Promise<void> {
  let after = from
  for (;;) {
    const { rows } = await takeTurn(purging)
    const clock = workClock(purging.context.session)
    const { upto, outcome } = await walkSpan(purging, await keySpan(purging, leaf, after, rows))
    count(purging.tally, outcome, Math.max(outcome.found, rows), clock())
    purging.progress(index, 0, purging.tally.rows)
    if (upto === null) return
    after = upto
  }
}

/** So many rows in the order of their key, whether they match or not. */
async function keySpan(purging: Purging, leaf: PurgeLeaf, after: string | null, entries: number): Promise<Span> {
  const { session } = purging.context
  if (leaf.walk.kind !== 'key') throw new Error('copies are walked by key')
  const statement = spanStatement(leaf, leaf.walk, rangeOf({ leaf, after, upto: null }), sql`${entries - 1}`)
  const [end] = await askUnder(session, purging.work.settings, () => readAll<{ position: string }>(session, statement))
  const fewer = Math.floor(entries / 4)
  const shorter = () => (entries === 1 ? Promise.resolve(null) : keySpan(purging, leaf, after, Math.max(1, fewer)))
  return { leaf, after, upto: end?.position ?? null, shorter }
}

/** A range that is not to be had after so many attempts, and cannot be smaller, is left for later. */
const MOST_ATTEMPTS = 6

/** One batch: a smaller one, a little later, where locks are in the way. What stays so is recorded as left, and skipped. */
async function walkSpan(purging: Purging, wanted: Span): Promise<{ upto: string | null; outcome: BatchOutcome }> {
  const { context } = purging
  const began = performance.now()
  let span = wanted
  for (let attempts = 1; ; attempts++) {
    try {
      const settle = (outcome: BatchOutcome) => recordSpan(purging, span, outcome, performance.now() - began)
      return { upto: span.upto, outcome: await runStoredBatch(purging, span, settle) }
    } catch (error) {
      if (!isToBeRetried(error, context.signal)) throw error
      const smaller = await span.shorter()
      const refused = refusalOf(error)
      if (smaller === null && (refused !== null || attempts >= MOST_ATTEMPTS)) {
        if (refused !== null || !(await waitForTable(purging, span.leaf, error)))
          return { upto: span.upto, outcome: await leave(purging, span, refused) }
      }
      await sleep(refused === null ? pause(Math.min(attempts, MOST_ATTEMPTS)) : 0, undefined, {
        signal: context.signal,
      })
      span = smaller ?? span
    }
  }
}

async function recordSpan(purging: Purging, span: Span, outcome: BatchOutcome, milliseconds: number): Promise<void> {
  if (outcome.found === 0) return
  const { leaf, after, upto } = span
  await record(purging, { pass: 'walk', leaf: leaf.name, after, upto }, outcome, milliseconds)
}

/** The range has a row that others hold locked, or that is refused: it is skipped as a whole, and come back to. */
async function leave(purging: Purging, span: Span, refused: string | null): Promise<BatchOutcome> {
  const { work, context } = purging
  const { session, journalSchema, lease } = context
  const { leaf, after, upto } = span
  const rows = await countRange(session, work, leaf, span)
  const outcome = { found: rows, held: 0, gone: 0, behind: 0, stayed: 0, around: {}, position: upto }
  if (rows === 0 || upto === null) return outcome
  const left: Pick<LeftRange, 'reason' | 'why'> = { reason: refused === null ? 'locked' : 'refused', why: refused }
  await inTransaction(session, {}, async () => {
    await assertLease(session, journalSchema, lease)
    await leaveRange(session, journalSchema, context.runId, { ...left, rows, leaf: leaf.name, after, upto })
    await record(purging, { pass: 'walk', leaf: leaf.name, after, upto }, outcome, 0)
  })
  return outcome
}

async function takeTurn({ turns, tally, context }: Purging): Promise<{ rows: number }> {
  context.signal.throwIfAborted()
  return turns.turn(tally.last)
}

import { readOne } from '../../db/query.ts'
import { inTransaction } from '../../db/transaction.ts'
import { describeHolder } from '../../db/holders.ts'
import { assertLease } from '../../journal/lease.ts'
import {
  beginRetirement,
  begunRetirementsOf,
  endRetirement,
  forgetNewest,
  recordCopy,
  recordExchanged,
} from '../../journal/rotations.ts'
import type { RewriteStep } from '../../plan/language/step.ts'
import type { BegunRetirement } from '../../plan/rotate/begun.ts'
import { dropCopy, dropFormer, type Rewriting } from '../../plan/rotate/columnar.ts'
import type { Retirement } from '../../plan/rotate/plan.ts'
import type { TableName } from '../../sql/names.ts'
import { readHoldersOnWorkers } from '../locks/on-workers.ts'
import { NotReady } from '../locks/short-locks.ts'
import { changed } from '../steps/detach.ts'
import type { TableContext } from '../table-context.ts'
import { isDetached, isNotHeld, perform, performOther, write, type RetireContext } from './partition-step.ts'
import { stillAsPlanned, worse, youngest, type Retired } from './retire.ts'
import { copyingAgain, WrittenError } from './written.ts'

// Rewrites one partition in columns. Invariants:
//
//   - It stays attached until its copy takes its place, in one transaction: every row is found at every moment, once.
//   - The copy, its rows and its entry in the journal are made in one transaction, on all nodes. A copy that has replaced
//     nothing is known by its oid, and dropped before anything else; what it is called decides nothing.
//   - What was copied is exchanged only if the partition has the same fingerprint when nobody can write to it any more, on
//     any node: not even a transaction that a node has prepared and not committed.
//   - What was there is dropped only if the journal says, since the transaction that exchanged them, that it was replaced.

/** Rewrites one partition. */
export async function rewrite(retiring: RetireContext, retirement: Retirement, rewriting: Rewriting): Promise<Retired> {
  const { lock } = await copyingAgain(retiring.context, () => rewriteOnce(retiring, retirement, rewriting))
  return worse(lock, await dropReplaced(retiring, retirement, rewriting))
}

async function rewriteOnce(
  retiring: RetireContext,
  { partition, method }: Retirement,
  { copy, exchange }: Rewriting,
): Promise<Retired> {
  const { context, set } = retiring
  const { session, journalSchema } = context
  const { oid, name, boundsText: bounds, bytes, estimatedRows } = partition
  await stillAsPlanned(retiring, partition)
  for (const begun of await begunRetirementsOf(session, journalSchema, oid)) await settleRewritten(retiring, begun)
  const entry = { oid, table: set.name, partition: name, method, bounds, bytes, estimatedRows, grace: null }
  await beginRetirement(session, journalSchema, entry)
  if ((await youngest(retiring, partition)) !== null) throw changed(name, 'a row in it is to be kept after all')
  const before = await performOther(retiring, copy, (told) => copyRows(told, copy, oid))
  const lock = await perform(retiring, exchange, {
    check: async () => {
      await stillAsPlanned(retiring, partition)
      await isNotHeld(retiring, partition)
      if (set.citus !== undefined) await assertNothingPrepared(context, name)
      if ((await readFingerprint(context, copy)) !== before) throw new WrittenError(name)
    },
    alongside: () => [
      write(retiring, partition, 'rewritten'),
      recordExchanged(session, journalSchema, oid),
      forgetNewest(session, journalSchema, oid),
    ],
  })
  return { outcome: 'rewritten', lock, receipt: null }
}

/** Returns the fingerprint of the partition before it was read. */
async function copyRows(context: TableContext, step: RewriteStep, oid: string): Promise<string> {
  const { session, journalSchema, lease, lockLimits } = context
  const waiting = [`lock_timeout = ${Math.ceil(lockLimits.deadlineMs)}`, 'idle_in_transaction_session_timeout = 0']
  const before = await inTransaction(session, { local: waiting }, async () => {
    const fingerprint = await readFingerprint(context, step)
    // One message each: Citus would send the whole on with each of them.
    for (const statement of step.statements) await session.query(statement)
    await recordCopy(session, journalSchema, oid, step.copied)
    await assertLease(session, journalSchema, lease)
    return fingerprint
  })
  await session.query(step.analyze)
  return before
}

async function readFingerprint({ session }: TableContext, { fingerprint: text }: RewriteStep): Promise<string> {
  return (await readOne<{ fingerprint: string }>(session, { text, values: [] })).fingerprint
}

/**
 * What a node has prepared, and its coordinator lost, holds a lock on shards alone: it is not in the way of ours, and has
 * written rows that are not seen yet.
 */
async function assertNothingPrepared({ control }: TableContext, partition: TableName): Promise<void> {
  const [writer] = (await readHoldersOnWorkers(control, [partition])).filter(({ mode }) => mode === 'RowExclusiveLock')
  if (writer !== undefined) throw new NotReady(describeHolder(writer))
}

async function dropReplaced(
  retiring: RetireContext,
  { partition: { oid } }: Retirement,
  { drop, former: name }: Rewriting,
): Promise<Retired> {
  const { session, journalSchema } = retiring.context
  const lock = await perform(retiring, drop, {
    check: () => isDetached(retiring, { oid, name }),
    alongside: () => [endRetirement(session, journalSchema, oid)],
  })
  return { outcome: 'rewritten', lock, receipt: null }
}

/** What an interrupted rotation has left: what a copy has replaced, or a copy that has replaced nothing. */
export async function settleRewritten(
  retiring: Pick<RetireContext, 'context' | 'set' | 'lockLimits'>,
  { oid, called, state, replaced, copy }: BegunRetirement,
): Promise<void> {
  const { context, set } = retiring
  const { session, journalSchema } = context
  const left = replaced ? (state === 'gone' ? null : { oid, name: called }) : copy
  if (left === null) return endRetirement(session, journalSchema, oid)
  const step = replaced ? dropFormer(set, left.name) : dropCopy(set, left.name)
  const hooks = {
    check: () => isDetached(retiring, left),
    alongside: () => [endRetirement(session, journalSchema, oid)],
  }
  await perform({ ...retiring, steps: [step] }, step, hooks)
}

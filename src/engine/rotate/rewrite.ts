import { setTimeout as sleep } from 'node:timers/promises'
import { readOne } from '../../db/query.ts'
import { isRefusedByCitus, reasonOf } from '../../db/sqlstate.ts'
import { inTransaction } from '../../db/transaction.ts'
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
import type { Fingerprint } from '../../plan/table/fingerprint.ts'
import { assertNothingPrepared } from '../locks/prepared.ts'
import { pauseAfter } from '../locks/short-locks.ts'
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
//   - What was copied is exchanged only if it has as many rows as the partition had before, and that has the same fingerprint
//     when nobody can write to it any more, on any node: not even a transaction that a node has prepared and not committed.
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
  const before = await performOther(retiring, copy, (told) => whenGranted(told, () => copyRows(told, copy, oid)))
  const lock = await perform(retiring, exchange, {
    check: async () => {
      await stillAsPlanned(retiring, partition)
      await isNotHeld(retiring, partition)
      if (set.citus !== undefined) await assertNothingPrepared(context, name)
      if ((await readFingerprint(context, copy)).fingerprint !== before) throw new WrittenError(name)
    },
    alongside: () => [
      write(retiring, partition, 'rewritten'),
      recordExchanged(session, journalSchema, oid),
      forgetNewest(session, journalSchema, oid),
    ],
  })
  return { outcome: 'rewritten', lock, receipt: null }
}

/** Citus distributes no table while shards of the same places are moved; it says so before any row is copied. */
async function whenGranted<T>({ lockLimits, observer, signal }: TableContext, copy: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + lockLimits.deadlineMs
  for (let attempts = 1; ; attempts++) {
    try {
      return await copy()
    } catch (error) {
      if (!isRefusedByCitus(error) || signal.aborted || performance.now() > deadline) throw error
      observer({ type: 'waiting', reason: `${reasonOf(error)} (attempt ${attempts})` })
      await sleep(pauseAfter(attempts), undefined, { signal })
    }
  }
}

/** Returns the fingerprint of the partition before it was read. */
async function copyRows(context: TableContext, step: RewriteStep, oid: string): Promise<string> {
  const { session, journalSchema, lease, lockLimits } = context
  const waiting = [`lock_timeout = ${Math.ceil(lockLimits.deadlineMs)}`, 'idle_in_transaction_session_timeout = 0']
  const before = await inTransaction(session, { local: waiting }, async () => {
    const { fingerprint, rows } = await readFingerprint(context, step)
    // One message each: Citus would send the whole on with each of them.
    for (const statement of step.statements) {
      const { command, rowCount } = await session.query(statement)
      // A row that has come, and is gone when the fingerprint is taken again, would be in the copy alone.
      if (command === 'INSERT' && rowCount !== rows) throw new WrittenError(step.partition)
    }
    await recordCopy(session, journalSchema, oid, step.copied)
    await assertLease(session, journalSchema, lease)
    return fingerprint
  })
  await session.query(step.analyze)
  return before
}

function readFingerprint({ session }: TableContext, { fingerprint: text }: RewriteStep): Promise<Fingerprint> {
  return readOne<Fingerprint>(session, { text, values: [] })
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

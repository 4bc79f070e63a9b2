import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { codeOf } from '../../db/sqlstate.ts'
import { inTransaction } from '../../db/transaction.ts'
import { EbbError } from '../../errors.ts'
import { recordMoved } from '../../journal/moved.ts'
import { addMoveToken, beginRetirement, endRetirement, forgetNewest, moveTokens } from '../../journal/rotations.ts'
import type { MoveStep } from '../../plan/language/step.ts'
import { comparisonOf, copyOf, partsThere, tableThere, type Moving } from '../../plan/rotate/moving.ts'
import type { Retirement } from '../../plan/rotate/plan.ts'
import { display, quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { copyRows } from '../archive/copy-rows.ts'
import { changed } from '../steps/detach.ts'
import type { TableContext } from '../table-context.ts'
import { onServer, type Destination } from './destination.ts'
import { isNotHeld, perform, performOther, write, type RetireContext } from './partition-step.ts'
import { stillAsPlanned, youngest, type Retired } from './retire.ts'
import { commentOn, isMarked, lockThere, markOf, readThere } from './table-there.ts'
import { isAsArchived, readSeal } from './seal.ts'
import { copyingAgain, WrittenError } from './written.ts'

// Moves one partition to another server. Invariants:
//
//   - It stays attached until a foreign table takes its place, in the transaction that drops it: every row is found at
//     every moment, in one place.
//   - The table there, its rows and its indexes are made in one transaction: there is all of it or nothing, wherever either
//     server, or we, are killed.
//   - It is dropped only if both sides were equal, row by row, read through the foreign server itself, and its seal says
//     under the lock that nobody has written to it since. What an earlier rotation has copied is compared again.
//   - The table there has a token of the journal in its comment: only such a one is ever replaced. Right before the exchange
//     it gets a new one, which no copy of this database has that was made before; the exchange ends what the journal knew.
//     So what is in use by this or another database is never replaced, and what an interrupted move has left always may be.
//   - Nothing waits for the other server while a lock is held.

/** Moves one partition. */
export function move(
  retiring: RetireContext,
  destination: Destination,
  retirement: Retirement,
  moving: Moving,
): Promise<Retired> {
  return copyingAgain(retiring.context, () => moveOnce(retiring, destination, retirement, moving))
}

/** A partition with what is known of it while it is moved. */
interface Move {
  readonly set: PartitionedTable
  readonly leaf: TableModel
  readonly boundsText: string
  readonly destination: Destination
  /** By which a copy of ours is known. */
  readonly tokens: readonly string[]
  /** Whether the partition is as it was before the copy. */
  readonly isSealed: () => Promise<boolean>
}

async function moveOnce(
  retiring: RetireContext,
  destination: Destination,
  { partition, method }: Retirement,
  moving: Moving,
): Promise<Retired> {
  const { context, set } = retiring
  const { session, journalSchema, server } = context
  await stillAsPlanned(retiring, partition)
  const { oid, name, boundsText: bounds, bytes, estimatedRows } = partition
  const entry = { oid, table: set.name, partition: name, method, bounds, bytes, estimatedRows, grace: null }
  await beginRetirement(session, journalSchema, entry)
  const tokens = await moveTokens(session, journalSchema, oid, destination.server)
  await perform(retiring, moving.guard, { alongside: () => [] })
  // Before the copy: whatever changes from here on gives another seal, or leaves a mark.
  const seal = await readSeal(session, journalSchema, oid)
  const isSealed = () => isAsArchived(session, journalSchema, oid, seal)
  if ((await youngest(retiring, partition)) !== null) throw changed(name, 'a row in it is to be kept after all')
  const leaf = await readPresentTable(session, name, server.version)
  const one: Move = { set, leaf, boundsText: bounds, destination, tokens, isSealed }
  await performOther(retiring, moving.copy, (told) => copyAndCompare(told, one, moving.copy))

  const token = await addMoveToken(session, journalSchema, oid)
  await onServer(destination, context, () => claim(one, token))
  const moved = { server: destination.server, there: name, token, bounds }
  const lock = await perform(retiring, moving.exchange, {
    check: async () => {
      await stillAsPlanned(retiring, partition)
      await isNotHeld(retiring, partition)
      if (!(await isSealed())) throw new WrittenError(name)
    },
    alongside: () => [
      write(retiring, partition, 'moved'),
      recordMoved(session, journalSchema, set.name, partition, moved),
      endRetirement(session, journalSchema, oid),
      forgetNewest(session, journalSchema, oid),
      ...(leaf.comment === null ? [] : [session.query(commentOn('foreign table', name, leaf.comment))]),
    ],
  })
  return { outcome: 'moved', lock, receipt: null }
}

/** Gives our copy its last token. */
async function claim(one: Move, token: string): Promise<void> {
  const { leaf, destination, tokens } = one
  const { name } = leaf
  const { session } = destination
  await inTransaction(session, { local: ['synchronous_commit = on'] }, async () => {
    const found = await lockThere(session, name, 'share update exclusive')
    if (found === undefined || !isMarked(found, tokens)) throw notOurs(one)
    await session.query(commentOn('table', name, markOf(token)))
  })
}

/** When it returns, the table there has exactly the rows of the partition. */
async function copyAndCompare(context: TableContext, one: Move, step: MoveStep): Promise<void> {
  const { leaf, destination, tokens } = one
  const { session } = destination
  const concerning = <T>(work: () => Promise<T>) => onServer(destination, context, work)
  const found = await concerning(() => readThere(session, leaf.name))
  if (found !== undefined) {
    if (!isMarked(found, tokens)) throw notOurs(one)
    if (await concerning(() => isStillEqual(context, one))) return
  }
  await concerning(() => copyThere(context, one, step))
  if (await concerning(() => isEqual(context, one))) return
  if (!(await one.isSealed())) throw new WrittenError(leaf.name)
  throw notEqual(one)
}

/** Of what an earlier try has left: it may have other columns by now, and then it is copied again. */
async function isStillEqual(context: TableContext, one: Move): Promise<boolean> {
  try {
    return await isEqual(context, one)
  } catch (error) {
    if (/^(?:22|42)/.test(codeOf(error) ?? '')) return false
    throw error
  }
}

/** Creates and fills the table there, instead of what an earlier try has left; in one transaction. */
async function copyThere(context: TableContext, one: Move, { title }: MoveStep): Promise<void> {
  const { set, leaf, boundsText, destination, tokens } = one
  const { session } = destination
  const { out, into } = copyOf(leaf)
  await inTransaction(session, { local: ['synchronous_commit = on'] }, async () => {
    await dropOurs(session, one)
    await session.query(tableThere(set, leaf, boundsText))
    await session.query(commentOn('table', leaf.name, markOf(tokens.at(-1) ?? '')))
    const incoming = session.query(copyFrom(into))
    const { sent } = await copyRows(context, [out], (rows) => pipeline(Readable.from(filled(rows)), incoming))
    if (sent[0] !== incoming.rowCount)
      throw new Error(`${title}: ${sent[0]} rows were sent, and ${incoming.rowCount} have arrived`)
    for (const statement of partsThere(leaf)) await session.query(statement)
  })
}

/** What an earlier try has left, if anything; asked again under a lock. */
async function dropOurs(session: Session, one: Move): Promise<void> {
  const { leaf, tokens } = one
  const found = await lockThere(session, leaf.name, 'access exclusive')
  if (found === undefined) return
  if (!isMarked(found, tokens)) throw notOurs(one)
  await session.query(sql`drop table ${quoted(leaf.name)}`)
}

/** The end of a COPY is an empty chunk. */
async function* filled(rows: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of rows) if (chunk.length > 0) yield chunk
}

class Compared extends Error {}

/** Compares both sides here, through the foreign server, as queries will read it. What that takes is rolled back. */
async function isEqual({ session }: TableContext, { leaf, destination: { server } }: Move): Promise<boolean> {
  const { foreignTable, compare } = comparisonOf(leaf, server)
  let different: string | undefined
  await inTransaction(session, {}, async () => {
    await session.query(foreignTable)
    ;({ different } = await readOne<{ different: string }>(session, { text: compare, values: [] }))
    throw new Compared()
  }).catch((error: unknown) => {
    if (!(error instanceof Compared)) throw error
  })
  return different === '0'
}

function notOurs({ leaf: { name }, destination: { server } }: Move): EbbError {
  return new EbbError(`${server} has a table ${display(name)}, which is not a copy that was made for this move`, {
    state: 'The partition is attached, and unchanged; so is that table.',
    next: `Find out what it is: another database may use it. If nobody needs it, on ${server}: drop table ${quoted(name).text};`,
  })
}

function notEqual({ leaf: { name }, destination: { server } }: Move): EbbError {
  return new EbbError(`${display(name)} and its copy on ${server} differ`, {
    state: 'The partition is attached, and unchanged; the next rotation copies it again.',
    next: `Find out what writes to the table there, whether --to-url and the foreign server ${server} are the same database, and whether types and collations mean the same there.`,
  })
}

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { EbbError } from '../../errors.ts'
import { beginRetirement, endRetirement, forgetNewest, moveToken } from '../../journal/rotations.ts'
import type { MoveStep } from '../../plan/language/step.ts'
import { comparisonOf, copyOf, partsThere, tableThere, type Moving } from '../../plan/rotate/moving.ts'
import type { Retirement } from '../../plan/rotate/plan.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { literal, sql } from '../../sql/sql.ts'
import { copyRows } from '../archive/copy-rows.ts'
import { changed, readState } from '../steps/detach.ts'
import type { TableContext } from '../table-context.ts'
import { onServer, type Destination } from './destination.ts'
import { isNotHeld, perform, performOther, write, type RetireContext } from './partition-step.ts'
import { stillAsPlanned, youngest, type Retired } from './retire.ts'
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
//   - Until right before the exchange the table there has a token of the journal as its comment: only such a one is ever
//     replaced. What is in use by this or another database never has one.
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
  /** What the comment of our own copy is. */
  readonly token: string
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
  const token = `ebb: being moved, ${await moveToken(session, journalSchema, oid)}`
  await perform(retiring, moving.guard, { alongside: () => [] })
  // Before the copy: whatever changes from here on gives another seal, or leaves a mark.
  const seal = await readSeal(session, journalSchema, oid)
  const isSealed = () => isAsArchived(session, journalSchema, oid, seal)
  if ((await youngest(retiring, partition)) !== null) throw changed(name, 'a row in it is to be kept after all')
  const leaf = await readPresentTable(session, name, server.version)
  const one: Move = { set, leaf, boundsText: bounds, destination, token, isSealed }
  await performOther(retiring, moving.copy, (told) => copyAndCompare(told, one, moving.copy))

  await onServer(destination.server, context.signal, () =>
    describe(destination.session, leaf.name, leaf.comment, token),
  )
  try {
    const lock = await perform(retiring, moving.exchange, {
      check: async () => {
        await stillAsPlanned(retiring, partition)
        await isNotHeld(retiring, partition)
        if (!(await isSealed())) throw new WrittenError(name)
      },
      alongside: () => [
        write(retiring, partition, 'moved'),
        endRetirement(session, journalSchema, oid),
        forgetNewest(session, journalSchema, oid),
      ],
    })
    return { outcome: 'moved', lock, receipt: null }
  } catch (error) {
    await takeBack(retiring, one, oid).catch(() => {}) // the first error tells more
    throw error
  }
}

/** The exchange was not made, so the table there may be replaced again. */
async function takeBack({ context, set }: RetireContext, { leaf, destination, token }: Move, oid: string) {
  const { state } = await readState(context.session, set.name, { oid, name: leaf.name })
  if (state === 'attached') await describe(destination.session, leaf.name, token, leaf.comment)
}

/** Gives the table there a comment; `instead` of the one that it has, or it is not ours. */
async function describe(session: Session, name: TableName, comment: string | null, instead: string | null) {
  const { found } = await readOne<{ found: boolean }>(
    session,
    sql`select obj_description(to_regclass(${quoted(name).text}), 'pg_class') is not distinct from ${instead} as found`,
  )
  if (found) await session.query(commentOn(name, comment))
}

function commentOn(name: TableName, comment: string | null): string {
  return `comment on table ${quoted(name).text} is ${comment === null ? 'null' : literal(comment).text}`
}

/** When it returns, the table there has exactly the rows of the partition. */
async function copyAndCompare(context: TableContext, one: Move, step: MoveStep): Promise<void> {
  const { leaf, destination, token } = one
  const { server, session } = destination
  const concerning = <T>(work: () => Promise<T>) => onServer(server, context.signal, work)
  const found = await concerning(() => readThere(session, leaf.name))
  if (found === undefined) await concerning(() => copyThere(context, one, step))
  else if (await concerning(() => isEqual(context, one))) return
  else if (found.comment === token) await concerning(() => copyThere(context, one, step))
  else throw notOurs(one)
  if (await concerning(() => isEqual(context, one))) return
  if (!(await one.isSealed())) throw new WrittenError(leaf.name)
  throw notEqual(one)
}

async function readThere(session: Session, name: TableName): Promise<{ readonly comment: string | null } | undefined> {
  const [row] = await readAll<{ comment: string | null }>(
    session,
    sql`select obj_description(c.oid, 'pg_class') as comment from pg_class c where c.oid = to_regclass(${quoted(name).text})`,
  )
  return row
}

/** Creates and fills the table there, instead of what an earlier try has left; in one transaction. */
async function copyThere(context: TableContext, one: Move, { title }: MoveStep): Promise<void> {
  const { set, leaf, boundsText, destination, token } = one
  const { session } = destination
  const { out, into } = copyOf(leaf)
  await inTransaction(session, { local: ['synchronous_commit = on'] }, async () => {
    await dropOurs(session, leaf.name, token)
    await session.query(tableThere(set, leaf, boundsText))
    await session.query(commentOn(leaf.name, token))
    const incoming = session.query(copyFrom(into))
    const { sent } = await copyRows(context, [out], (rows) => pipeline(Readable.from(filled(rows)), incoming))
    if (sent[0] !== incoming.rowCount)
      throw new Error(`${title}: ${sent[0]} rows were sent, and ${incoming.rowCount} have arrived`)
    for (const statement of partsThere(leaf)) await session.query(statement)
  })
}

/** What an earlier try has left, if anything; asked again under a lock. */
async function dropOurs(session: Session, name: TableName, token: string): Promise<void> {
  if ((await readThere(session, name)) === undefined) return
  await session.query(sql`lock table ${quoted(name)} in access exclusive mode`)
  if ((await readThere(session, name))?.comment === token) await session.query(sql`drop table ${quoted(name)}`)
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
  return new EbbError(`${server} has a table ${display(name)} already, whose rows are not those of the partition`, {
    state: 'The partition is attached, and unchanged; so is that table.',
    next: `Find out what it is. If nobody needs it, on ${server}: drop table ${quoted(name).text};`,
  })
}

function notEqual({ leaf: { name }, destination: { server } }: Move): EbbError {
  return new EbbError(`${display(name)} and its copy on ${server} differ`, {
    state: 'The partition is attached, and unchanged; the next rotation copies it again.',
    next: `Find out what writes to the table there, whether --to-url and the foreign server ${server} are the same database, and whether types and collations mean the same there.`,
  })
}

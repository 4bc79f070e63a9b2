import { finished, pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { CopyOut } from '../../db/copy-out.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { inOneGo } from '../../db/in-one-go.ts'
import { putSession, putSessionBack } from '../../db/settings.ts'
import type { CopyWork, Transport } from '../../plan/copy/work.ts'
import { quoted } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import type { SourceState } from './captured.ts'
import { assertNotRewritten, chunkRows, holdSource, type Range } from './chunk.ts'

/**
 * Copies one chunk. `read` is called when the source has sent all its rows: the next chunk can be read while these
 * are still being written. `settle` is called in the transaction that writes the target, which then commits.
 */
export interface Carrier {
  readonly transport: Transport
  carry(range: Range, read: () => void, settle: (target: Session, rows: number) => Promise<void>): Promise<number>
}

/** `insert … select`: the rows never leave the server. */
export function serverCarrier(session: Session, work: CopyWork, state: SourceState): Carrier {
  return {
    transport: 'server',
    carry: (range, _read, settle) =>
      inTransaction(session, {}, async () => {
        const [, , , { rowCount }] = await inOneGo(session, () => [
          holdSource(session, work),
          assertNotRewritten(session, work, state),
          putSession(session, work.settings),
          session.query(sql`insert into ${quoted(work.target)} (${raw(work.columns)}) ${chunkRows(work, range)}`.text),
          putSessionBack(session, work.settings),
        ])
        await settle(session, rowCount ?? 0)
        return rowCount ?? 0
      }),
  }
}

/**
 * Binary COPY from one session into another, with back-pressure and without parsing. The transaction of the source
 * ends with its last row, while rows in flight are still being written.
 */
export function copyCarrier(source: Session, target: Session, work: CopyWork, state: SourceState): Carrier {
  return {
    transport: 'copy',
    carry: (range, read, settle) =>
      inTransaction(target, {}, async () => {
        const { incoming, written } = await inTransaction(source, {}, () => stream(source, target, work, state, range))
        read()
        await written
        await putSessionBack(target, work.settings)
        await settle(target, incoming.rowCount)
        return incoming.rowCount
      }),
  }
}

/**
 * Returns when the source has sent all rows. After a failure of the target the source's session is discarded, rather
 * than waiting for the rest of the chunk.
 */
async function stream(source: Session, target: Session, work: CopyWork, state: SourceState, range: Range) {
  await inOneGo(source, () => [
    holdSource(source, work),
    assertNotRewritten(source, work, state),
    putSession(source, work.settings),
  ])
  await putSession(target, work.settings)
  // Both start together: a stream without listeners would end the process if its session were lost.
  const outgoing = source.query(new CopyOut(sql`copy (${chunkRows(work, range)}) to stdout (format binary)`.text))
  const incoming = target.query(
    copyFrom(sql`copy ${quoted(work.target)} (${raw(work.columns)}) from stdin (format binary)`.text),
  )
  const written = pipeline(outgoing, incoming)
  written.catch(() => {}) // It is awaited below, or by the caller, but perhaps not yet when it fails.
  try {
    await finished(outgoing)
  } catch (error) {
    await source.end()
    await written
    throw error
  }
  return { incoming, written }
}

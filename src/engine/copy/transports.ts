import { pipeline } from 'node:stream/promises'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { inTransaction, type Session } from '../../db/session.ts'
import type { CopyWork, Transport } from '../../plan/copy-work.ts'
import { quoted } from '../../sql/names.ts'
import { pathForSet } from '../../sql/search-path.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'
import type { SourceState } from './captured.ts'
import { chunkRows, holdSource, type Range } from './chunk.ts'

/** Carries one chunk. `settle` is called in the transaction that fills the target, which then commits. */
export interface Carrier {
  readonly transport: Transport
  carry(range: Range, settle: (target: Session, rows: number) => Promise<void>): Promise<number>
}

/** `insert … select`: the rows never leave the server. */
export function serverCarrier(session: Session, work: CopyWork, state: SourceState): Carrier {
  return {
    transport: 'server',
    carry: (range, settle) =>
      inTransaction(session, {}, async () => {
        await holdSource(session, work, state)
        await useSearchPath(session, work)
        const { rowCount } = await session.query(
          sql`insert into ${quoted(work.target)} (${raw(work.columns)}) ${chunkRows(work, range)}`.text,
        )
        await settle(session, rowCount ?? 0)
        return rowCount ?? 0
      }),
  }
}

/**
 * Binary COPY from one session into another, with back-pressure and nothing
 * parsed. After a failure on the target's side the source session may hang in its
 * COPY for good (seen with pg-copy-streams 7), so it is thrown away then.
 */
export function copyCarrier(source: Session, target: Session, work: CopyWork, state: SourceState): Carrier {
  return {
    transport: 'copy',
    carry: (range, settle) =>
      inTransaction(target, {}, async () => {
        const rows = await inTransaction(source, {}, async () => {
          await holdSource(source, work, state)
          await useSearchPath(source, work)
          // Both begin together: a stream that nobody listens to yet would end the process if its session were lost.
          const outgoing = source.query(copyTo(sql`copy (${chunkRows(work, range)}) to stdout (format binary)`.text))
          const incoming = target.query(
            copyFrom(sql`copy ${quoted(work.target)} (${raw(work.columns)}) from stdin (format binary)`.text),
          )
          await pipeline(outgoing, incoming).catch(async (error: unknown) => {
            await source.end()
            throw error
          })
          return incoming.rowCount
        })
        await settle(target, rows)
        return rows
      }),
  }
}

/** The condition was written under the user's search path. */
export async function useSearchPath(session: Session, work: CopyWork): Promise<void> {
  await session.query(searchPathOf(work).text)
}

export function searchPathOf({ searchPath }: CopyWork): Sql {
  return sql`set local search_path to ${raw(pathForSet(searchPath))}`
}

import { pipeline } from 'node:stream/promises'
import type { Writable } from 'node:stream'
import { CopyOut } from '../../../db/copy-out.ts'
import { readAll } from '../../../db/query.ts'
import type { Session, Target } from '../../../db/session.ts'
import { inSnapshot, inTransaction } from '../../../db/transaction.ts'
import { UsageError } from '../../../errors.ts'
import { allSets, approveSet, type StoredSet } from '../../../journal/candidates.ts'
import { journalExists, latestRun, runById, type Run } from '../../../journal/journal.ts'
import { dropSet } from '../../../plan/purge/candidates.ts'
import { sameKeyAsCandidate } from '../../../plan/purge/candidate-sql.ts'
import type { PurgeRequest } from '../../../plan/purge/request.ts'
import { quoted } from '../../../sql/names.ts'
import { ident, join, sql } from '../../../sql/sql.ts'
import { readPatiently, type Patience } from '../../locks/patiently.ts'
import type { EngineOptions } from '../../options.ts'
import { readSet } from './candidate-set.ts'

// The review of a candidate set between recording it and purging its rows: sample, export, approve, drop.

export type ReviewOptions = Pick<EngineOptions, 'journalSchema'> & Patience

/** All candidate sets, the latest first. */
export async function candidateSets(target: Target, options: ReviewOptions): Promise<StoredSet[]> {
  const { journalSchema } = options
  return readPatiently(target, 'candidates', options, (session) =>
    inSnapshot(session, async () => ((await hasSets(session, journalSchema)) ? allSets(session, journalSchema) : [])),
  )
}

// A journal of an earlier version has no place for sets yet.
async function hasSets(session: Session, schema: string): Promise<boolean> {
  if (!(await journalExists(session, schema))) return false
  const rows = await readAll(
    session,
    sql`select from pg_tables where schemaname = ${schema} and tablename = 'candidate_set'`,
  )
  return rows.length > 0
}

/** One of them. */
export async function candidateSet(target: Target, id: string, options: ReviewOptions): Promise<StoredSet> {
  const { journalSchema } = options
  return readPatiently(target, 'candidates', options, (session) =>
    inSnapshot(session, () => readSet(session, journalSchema, id)),
  )
}

/** Some of the rows as they are now, chosen at random, each as JSON text. Candidates whose rows are no more are left out. */
export async function sampleCandidates(
  target: Target,
  id: string,
  rows: number,
  options: ReviewOptions,
): Promise<string[]> {
  const { journalSchema } = options
  return readPatiently(target, 'candidates', options, (session) =>
    inSnapshot(session, async () => {
      const set = await readSet(session, journalSchema, id)
      const walk = { kind: 'key', index: '', unique: true, columns: set.key } as const
      const found = await readAll<{ row: string }>(
        session,
        sql`
        select row_to_json(t.*)::text as row
        from (select * from ${quoted(set.place)} order by random() limit ${rows}) ebb_c join ${quoted(set.table)} t on ${sameKeyAsCandidate(walk)}`,
      )
      return found.map(({ row }) => row)
    }),
  )
}

/** The keys as CSV with a header, in their order; `out` is ended. */
export async function exportCandidates(
  target: Target,
  id: string,
  out: Writable,
  options: ReviewOptions,
): Promise<void> {
  const { journalSchema } = options
  await readPatiently(target, 'candidates', options, (session) =>
    inSnapshot(session, async () => {
      const { place, key } = await readSet(session, journalSchema, id)
      // A stream that has failed cannot be written to again: whoever holds a lock is waited for before it begins.
      await session.query(sql`lock table ${quoted(place)} in access share mode`)
      const columns = join(key.map(({ name }) => ident(name)))
      const rows = sql`select ${columns} from ${quoted(place)} order by ${columns}`
      const stream = session.query(new CopyOut(sql`copy (${rows}) to stdout (format csv, header true)`.text))
      await pipeline(stream, out)
    }),
  )
}

/** Records who approved a set, and the ticket; null leaves what is recorded. */
export async function approveCandidates(
  target: Target,
  id: string,
  approval: Pick<StoredSet, 'approvedBy' | 'ticket'>,
  options: ReviewOptions,
): Promise<StoredSet> {
  const { journalSchema } = options
  return readPatiently(target, 'candidates', options, async (session) => {
    await readSet(session, journalSchema, id)
    await approveSet(session, journalSchema, id, approval)
    return readSet(session, journalSchema, id)
  })
}

/**
 * Drops a set. Its rows stay.
 *
 * @throws {UsageError} while a run uses it
 */
export async function dropCandidates(target: Target, id: string, options: ReviewOptions): Promise<StoredSet> {
  const { journalSchema } = options
  return readPatiently(target, 'candidates', options, async (session) => {
    const set = await readSet(session, journalSchema, id)
    const run = await runById(session, journalSchema, id)
    if (run?.status === 'running')
      throw new UsageError(`candidate set ${id} is still being written`, `Abandon it: ebb abandon ${id} --execute.`)
    const latest = await latestRun(session, journalSchema, set.table)
    if (latest !== undefined && isPurgeOf(id, latest))
      throw new UsageError(
        `run ${latest.id} purges the rows of candidate set ${id}, and is unfinished`,
        `Finish it with ebb resume ${latest.id}, or leave it at that: ebb abandon ${latest.id}.`,
      )
    await inTransaction(session, {}, async () => {
      for (const statement of dropSet(set.place, id)) await session.query(statement)
    })
    return set
  })
}

function isPurgeOf(id: string, { command, status, request }: Run): boolean {
  if (command !== 'purge' || status !== 'running') return false
  // Of another format, it may have no such field.
  const { rows } = request as Partial<PurgeRequest>
  return rows?.kind === 'candidates' && rows.set === id
}

import { readReferenceGraph } from '../../src/catalog/reference-graph.ts'
import { inSnapshot, inTransaction, readOne, type Session } from '../../src/db/session.ts'
import { judgeTally, readTally, type Judgement } from '../../src/engine/cascade-tally.ts'
import { planCascade, type Cascade, type CascadeRequest } from '../../src/plan/cascade.ts'
import { childCounts, childDeletions, isSetAside, rootColumns, withoutReferenced } from '../../src/plan/cascade-sql.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../src/sql/sql.ts'
import type { Database } from './database.ts'

/** What one batch did: rows deleted, table by table as the statement counted them, and the judgement of the tally. */
export interface Batch {
  readonly gone: number
  readonly counted: Readonly<Record<string, number>>
  readonly judgement: Judgement
}

/** A cascade at work on a table, without the engine around it: one batch is everything that the condition selects. */
export class Cascading {
  readonly cascade: Cascade
  readonly session: Session

  private constructor(session: Session, cascade: Cascade) {
    this.session = session
    this.cascade = cascade
  }

  static async over(database: Database, root: TableName, request: Partial<CascadeRequest> = {}): Promise<Cascading> {
    const session = await database.session('purge')
    await session.query(`set search_path = ''; set row_security = off`)
    const graph = await inSnapshot(session, () => readReferenceGraph(session, root))
    return new Cascading(session, planCascade(graph, { cascade: false, protect: [], ...request }))
  }

  /** A batch under way: what it throws is told by whoever awaits it. */
  begin(predicate: string): Promise<Batch> {
    const batch = this.batch(predicate)
    batch.catch(() => {})
    return batch
  }

  /** Runs one batch in a transaction, and commits it unless the tally forbids. */
  async batch(predicate: string, lockTimeoutMs = 5_000): Promise<Batch> {
    const { session, cascade } = this
    let batch: Batch | undefined
    await inTransaction(session, {}, async () => {
      await session.query(`set local lock_timeout = ${lockTimeoutMs}`)
      const before = await readTally(session, cascade)
      const { gone, byOid } = await readOne<{ gone: number; byOid: Record<string, number> }>(
        session,
        batchStatement(cascade, predicate),
      )
      const counted = Object.fromEntries(
        cascade.emptied.filter(({ oid }) => oid in byOid).map(({ oid, name }) => [name.name, byOid[oid] ?? 0]),
      )
      batch = { gone, counted, judgement: judgeTally(cascade, before, await readTally(session, cascade), gone) }
      if (batch.judgement.breach !== null) throw new Breach(batch.judgement.breach)
    })
    if (batch === undefined) throw new Error('no batch')
    return batch
  }
}

/** The batch was rolled back. */
export class Breach extends Error {}

/** All rows that a condition selects, with what goes with them. */
export function batchStatement(cascade: Cascade, predicate: string): Sql {
  const root = quoted(cascade.root.name)
  const columns = rootColumns(cascade)
  const of = (row: string): Sql => join([raw(''), ...columns.map((column) => ident(row, column))], ', ')
  const narrowed = withoutReferenced(cascade, 'chosen', 'going') ?? []
  const going = narrowed.length === 0 ? 'chosen' : 'going'
  const children = childDeletions(cascade, 'gone')
  const parts = [
    {
      name: 'chosen',
      query: sql`select t.tableoid, t.ctid${of('t')} from ${root} t
        where (${raw(predicate)}) and not (${isSetAside(cascade.reasons, 't')}) for update skip locked`,
    },
    ...narrowed,
    {
      name: 'gone',
      query: sql`delete from ${root} t where (t.tableoid, t.ctid) in (select tableoid, ctid from ${raw(going)}) and (${raw(predicate)})
        returning true${of('t')}`,
    },
    ...children,
  ]
  return sql`
    with recursive ${join(parts.map(({ name, query }) => sql`${raw(name)} as (${query})`))}
    select (select count(*) from gone)::int as gone, ${childCounts(children)} as "byOid"`
}

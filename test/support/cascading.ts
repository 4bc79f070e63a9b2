import { readReferenceGraph } from '../../src/catalog/references/reference-graph.ts'
import { readAll, readOne } from '../../src/db/query.ts'
import type { Session } from '../../src/db/session.ts'
import { inSnapshot, inTransaction } from '../../src/db/transaction.ts'
import {
  changesBetween,
  countChanges,
  doDeferred,
  OverreachError,
  type Around,
} from '../../src/engine/purge/changes.ts'
import { dependentsOf } from '../../src/plan/references/dependents.ts'
import { planCascade, type Cascade, type CascadeRequest } from '../../src/plan/references/cascade.ts'
import { batchStatement } from '../../src/plan/purge/batch.ts'
import type { PurgeLeaf, PurgeWork } from '../../src/plan/purge/work.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import type { Database } from './database.ts'

/** What one batch did: rows deleted; of other tables as the statement counted them, and as PostgreSQL did. */
export interface Batch {
  readonly gone: number
  readonly counted: Readonly<Record<string, number>>
  readonly around: Around
}

/** A cascade at work on a table, without the engine around it: one batch is everything that the condition selects. */
export class Cascading {
  readonly cascade: Cascade
  private readonly session: Session
  private readonly leaves: readonly TableName[]

  private constructor(session: Session, cascade: Cascade, leaves: readonly TableName[]) {
    this.session = session
    this.cascade = cascade
    this.leaves = leaves
  }

  static async over(database: Database, root: TableName, request: Partial<CascadeRequest> = {}): Promise<Cascading> {
    const session = await database.session('purge')
    await session.query(`set search_path = ''; set row_security = off`)
    const graph = await inSnapshot(session, () => readReferenceGraph(session, root))
    const leaves = await readAll<TableName>(
      session,
      sql`select n.nspname as schema, c.relname as name from pg_partition_tree(${quoted(root).text}::regclass) t
        right join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
        where t.isleaf or c.oid = ${quoted(root).text}::regclass and c.relkind = 'r' order by c.relname`,
    )
    return new Cascading(session, planCascade(graph, { cascade: false, protect: [], ...request }), leaves)
  }

  /** A batch under way: what it throws is told by whoever awaits it. */
  begin(predicate: string): Promise<Batch> {
    const batch = this.batch(predicate)
    batch.catch(() => {})
    return batch
  }

  /** Runs one batch in a transaction, and commits it unless it overreaches. */
  async batch(predicate: string, lockTimeoutMs = 5_000): Promise<Batch> {
    const batches: Batch[] = []
    for (const leaf of this.leaves) batches.push(await this.batchOf(leaf, predicate, lockTimeoutMs))
    return batches.reduce(sum)
  }

  private async batchOf(name: TableName, predicate: string, lockTimeoutMs: number): Promise<Batch> {
    const { session } = this
    const leaf: PurgeLeaf = {
      name,
      oid: '0',
      walk: { kind: 'blocks' },
      blocks: 1,
      rowsPerBlock: null,
      estimatedRows: 1,
    }
    const dependents = dependentsOf(this.cascade)
    const work: PurgeWork = {
      table: name,
      oid: '0',
      where: predicate,
      settings: {},
      leaves: [leaf],
      dependents,
      action: { kind: 'delete' },
    }
    const { watched, companions } = dependents
    if (watched === null) throw new Error('nothing refers to the table')
    return inTransaction(session, {}, async () => {
      await session.query(`set local lock_timeout = ${lockTimeoutMs}`)
      const before = await countChanges(session, watched)
      const { gone, counts, disturbed } = await readOne<{ gone: number; counts: number[]; disturbed: boolean }>(
        session,
        batchStatement(work, leaf, { after: null, upto: null }, raw('100000'), 'careful'),
      )
      if (disturbed) throw new OverreachError('disturbed')
      await doDeferred(session, work.settings)
      const around = changesBetween(watched, before, await countChanges(session, watched), {
        action: 'delete',
        gone,
      })
      const counted: Record<string, number> = {}
      for (const [i, { table }] of companions.entries())
        if (table !== null) counted[table.name] = (counted[table.name] ?? 0) + (counts[i] ?? 0)
      return { gone, counted, around }
    })
  }
}

function sum(a: Batch, b: Batch): Batch {
  const tables = Object.keys(b.counted)
  return {
    gone: a.gone + b.gone,
    counted: Object.fromEntries(tables.map((table) => [table, (a.counted[table] ?? 0) + (b.counted[table] ?? 0)])),
    around: { ...a.around, ...b.around },
  }
}

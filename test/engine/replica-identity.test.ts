import { describe, expect } from 'vitest'
import { REPLICA_IDENTITY, type ReplicaIdentity } from '../../src/catalog/table/published.ts'
import { rollback } from '../../src/engine/runs/runs.ts'
import { factsOf } from '../../src/plan/table/facts.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { partition, partitionByCopy, planPartitionOf, planRebuildOf, split } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { modelOf, monthly, quietly, written } from '../support/tool.ts'
import { rotateOne } from './rotate-support.ts'
import { splitOrder } from './split-support.ts'

// PostgreSQL asks each partition for its own replica identity; the parent's counts for nothing.

const byMonth = monthly({ by: 'at', keep: null })

describe('each partition has the replica identity of the table', () => {
  const identities: [string, string, ReplicaIdentity][] = [
    ['using index t_pkey', 'the primary key', { kind: 'index', columns: ['id', 'at'] }],
    ['using index "Other one"', 'another index', { kind: 'index', columns: ['at', 'b'] }],
    ['full', 'full', { kind: 'full', columns: ['id', 'at', 'b'] }],
    ['nothing', 'nothing', { kind: 'nothing', columns: [] }],
  ]

  test.for(identities)('%s', async ([identity, , expected], { database }) => {
    const table = await published(database, identity)
    const before = factsOf(await modelOf(database, table))
    const everywhere = async () => {
      const found = await identitiesOf(database, table)
      expect(found).toEqual(found.map(() => expected))
      return found.length
    }

    const { runId } = await partition(database.url, written(table), byMonth, quietly())
    expect(await everywhere()).toBeGreaterThan(2)
    await rollback(database.url, { runId }, quietly())
    expect(factsOf(await modelOf(database, table))).toEqual(before)
    if (identity === 'nothing') return

    await partition(database.url, written(table), byMonth, quietly())
    const { rows: first } = await database.admin<{ name: string }>(
      sql`select min(inhrelid::regclass::text) as name from pg_inherits where inhparent = ${quoted(table).text}::regclass and inhrelid <> 't_history'::regclass`,
    )
    await database.admin(`drop table ${first[0]?.name}`)
    expect((await rotateOne(database, table)).created).toHaveLength(1)
    await split(database.url, written(table), splitOrder({ noArchive: true }), quietly())
    expect(await everywhere()).toBeGreaterThan(5)

    const owner = await database.session('owner')
    expect((await owner.query(sql`update ${quoted(table)} set b = b || '!'`)).rowCount).toBe(90)
  })

  test('after a copy into partitions', async ({ database }) => {
    const table = await published(database, 'using index "Other one"')
    const request = { ...byMonth, transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const
    await partitionByCopy(database.url, written(table), request, quietly())
    const found = await identitiesOf(database, table)
    expect(new Set(found.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify({ kind: 'index', columns: ['at', 'b'] })]),
    )
    expect(found.length).toBeGreaterThan(5)
  })
})

describe('identities that would not be possible are objections', () => {
  test('columns without the new key', async ({ database, skip }) => {
    if (database.version < 150_000) skip('column lists came with 15')
    const table = await published(database, 'default')
    const columns = async (list: string) => {
      await database.admin(`alter publication p drop table ${quoted(table).text}`)
      await database.admin(`alter publication p add table ${quoted(table).text} ${list}`)
      const { objections } = await planPartitionOf(database.url, written(table), byMonth, quietly())
      return objections.map(({ code }) => code)
    }
    expect(await columns('(id, b)')).toEqual(['published-columns:p'])
    expect(await columns('(id, b) where (id > 0)')).toEqual(['published-columns:p'])
    expect(await columns('(id, at)')).toEqual([])
    // That is refused already, and so it stays.
    expect(await columns('(b)')).toEqual([])
    await database.admin(`alter publication p set (publish = 'insert')`)
    expect(await columns('(id, b)')).toEqual([])
  })

  test('an identity whose index is missing', async ({ database }) => {
    const table = await published(database, 'using index "Other one"')
    await database.admin(`drop index "Other one"`)
    const plans = [
      await planPartitionOf(database.url, written(table), byMonth, quietly()),
      await planRebuildOf(database.url, written(table), rebuildRequest(), quietly()),
    ]
    expect(plans.map(({ objections }) => objections.map(({ code }) => code))).toEqual([
      ['replica-identity'],
      ['replica-identity'],
    ])
  })
})

/** Rows of the last ninety days. */
async function published(database: Database, identity: string): Promise<TableName> {
  const table = { schema: 'public', name: 't' }
  const owner = await database.session('owner')
  await owner.query(
    `create table t (id bigint generated always as identity primary key, at timestamptz not null default now(), b text not null)`,
  )
  await owner.query(`create unique index "Other one" on t (at, b) with (fillfactor = 80)`)
  await owner.query(`alter table t replica identity ${identity}`)
  await owner.query(`insert into t (at, b) select now() - g * interval '1 day', g from generate_series(1, 90) g`)
  await owner.query('analyze t')
  await owner.query('create publication p for table t with (publish_via_partition_root)')
  return table
}

async function identitiesOf(database: Database, table: TableName): Promise<ReplicaIdentity[]> {
  const { rows } = await database.admin<{ identity: ReplicaIdentity }>(sql`
    select ${raw(REPLICA_IDENTITY('c'))} as identity from pg_inherits h join pg_class c on c.oid = h.inhrelid
    where h.inhparent = ${quoted(table).text}::regclass`)
  return rows.map(({ identity }) => identity)
}

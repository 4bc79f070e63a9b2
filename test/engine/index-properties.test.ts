import { expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import { factsOf } from '../../src/plan/table/facts.ts'
import { partition, rebuild, split } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { modelOf, monthly, quietly, written } from '../support/tool.ts'
import { splitOrder } from './split-support.ts'

// What pg_get_constraintdef and pg_get_indexdef leave out of a definition.

const T = { schema: 'public', name: 't' }

test('storage parameters and tablespaces of indexes are carried over', async ({ database }) => {
  await furnished(database)
  const before = factsOf(await modelOf(database, T))
  const { runId } = await rebuild(database.url, written(T), rebuildRequest(), quietly())
  expect(await storedAs(database)).toEqual([FURNISHED])
  await rollback(database.url, { runId }, quietly())
  expect(factsOf(await modelOf(database, T))).toEqual(before)
})

test('and to each partition', async ({ database }) => {
  await furnished(database)
  const before = factsOf(await modelOf(database, T))
  const request = monthly({ by: 'at', keep: null })
  const { runId } = await partition(database.url, written(T), request, quietly())
  expect(await storedAs(database)).toEqual([FURNISHED])
  await rollback(database.url, { runId }, quietly())
  expect(factsOf(await modelOf(database, T))).toEqual(before)

  await partition(database.url, written(T), request, quietly())
  await split(database.url, written(T), splitOrder({ noArchive: true }), quietly())
  expect(await storedAs(database)).toEqual([FURNISHED])
})

const SPACE = 'ebb_test_elsewhere'
const FURNISHED = `50 in ${SPACE}, 60 in ${SPACE}, 70 in ${SPACE}`

async function furnished(database: Database): Promise<void> {
  const administrator = await database.session('administrator', { admin: true })
  await administrator.query('set allow_in_place_tablespaces = on')
  // It is of the whole server, so another test may have made it.
  await administrator.query(`create tablespace ${SPACE} location ''`).catch(() => undefined)
  const owner = await database.session('owner')
  await database.admin(`grant create on tablespace ${SPACE} to public`)
  await owner.query('create table t (id bigint generated always as identity, at timestamptz not null, b text)')
  await owner.query(`alter table t add primary key (id) with (fillfactor = 70) using index tablespace ${SPACE}`)
  await owner.query(
    `alter table t add unique (at, b) with (fillfactor = 60) using index tablespace ${SPACE} deferrable`,
  )
  await owner.query(`create index "A n" on t (lower(b)) with (fillfactor = 50) tablespace ${SPACE} where b > ''`)
  await owner.query('alter index "A n" alter column 1 set statistics 500')
  await owner.query(`insert into t (at, b) select now() - g * interval '1 day', g from generate_series(1, 90) g`)
  await owner.query('analyze t')
}

/** How the indexes of the table, and those of each of its partitions, are stored; equal ones once. */
async function storedAs(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ stored: string }>(`
    select distinct string_agg(ltrim(x.reloptions[1], 'filactor=') || ' in ' || s.spcname, ', ' order by x.reloptions[1]) as stored
    from pg_index i join pg_class x on x.oid = i.indexrelid left join pg_tablespace s on s.oid = x.reltablespace
    where i.indrelid = 't'::regclass or i.indrelid in (select inhrelid from pg_inherits where inhparent = 't'::regclass)
    group by i.indrelid`)
  return rows.map(({ stored }) => stored)
}

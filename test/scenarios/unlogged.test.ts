import { expect } from 'vitest'
import { resume, retire, rollback } from '../../src/engine/runs/runs.ts'
import { factsOf } from '../../src/plan/table/facts.ts'
import { rebuild } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { modelOf, persevere, quietly, written } from '../support/tool.ts'

// A crash of the server empties unlogged tables, and no others: the copy's log and journal still tell of rows that are
// gone.

const T = { schema: 'public', name: 't' }
const TINY = { copySizes: { chunkBlocks: 1, batchEntries: 1, shortLog: 0 } }

test('an unlogged table is replaced by an unlogged one, and rolled back, its sequences as they were', async ({
  database,
}) => {
  await filled(database, 100)
  if (database.version >= 150000)
    await database.admin('alter sequence t_other_seq set logged; create publication everything for all tables')
  const before = factsOf(await modelOf(database, T))
  const { runId, plan } = await rebuild(database.url, written(T), rebuildRequest(), quietly())
  expect(plan.notes.join()).toMatch(/a crash of the server empties both/)
  expect(factsOf(await modelOf(database, T))).toMatchObject(before)
  await rollback(database.url, { runId }, quietly())
  expect(factsOf(await modelOf(database, T))).toEqual(before)

  const again = await rebuild(database.url, written(T), rebuildRequest(), quietly())
  await database.admin('alter table t set logged')
  await expect(rollback(database.url, { runId: again.runId }, quietly())).rejects.toThrow(/altered.*persistence/)
  await retire(database.url, { runId: again.runId }, quietly())
})

test('one that is made permanent while it is rebuilt is not replaced', async ({ database }) => {
  await filled(database, 100)
  let altered: Promise<unknown> | undefined
  const options = quietly({
    observer: (event) => {
      if (event.type === 'step started' && event.step.key === 'way-back')
        altered ??= database.admin('alter table t set logged')
    },
  })
  await expect(rebuild(database.url, written(T), rebuildRequest(), options)).rejects.toThrow(/rewritten|persistence/)
  await altered
})

test('the server crashed in the midst of it, the rows written since are there, and no others', async ({
  ownServer,
}) => {
  const { server, database } = await ownServer()
  for (const when of ['copying', 'after the swap'] as const) {
    await filled(database, 2_000)
    let crash: Promise<void> | undefined
    const lost = await rebuild(database.url, written(T), rebuildRequest({ transport: 'server' }), {
      ...quietly(TINY),
      observer: (event) => {
        const copying = event.type === 'progress' && event.progress.done > 5
        const step = event.type === 'step started' && event.step.key === 'release'
        if (when === 'copying' ? copying : step) crash ??= server.crash()
      },
    }).catch((error: unknown) => error)
    expect(lost, when).toBeInstanceOf(Error)
    await crash
    await server.restart()
    const app = await database.session('app')
    await app.query(
      `insert into t (id, b) select n, 'new' from generate_series(1, 500) n; update t set b = 'newer' where id = 7; delete from t where id = 8`,
    )
    const { runId } = await persevere(() => resumed(database))
    expect(await contentOf(database), when).toEqual({ rows: 499, newer: 1, old: 0 })
    await app.query('delete from t where id = 9')
    await rollback(database.url, { runId }, quietly())
    expect(await contentOf(database), when).toEqual({ rows: 498, newer: 1, old: 0 })
    await app.query('drop table t')
  }
})

async function resumed(database: Database): Promise<{ readonly runId: string }> {
  await resume(database.url, { table: T }, quietly(TINY))
  const { rows } = await database.admin<{ id: string }>(
    `select max(id)::text as id from ebb.run where command = 'rebuild'`,
  )
  return { runId: rows[0]?.id ?? '' }
}

async function contentOf(database: Database): Promise<unknown> {
  const { rows } = await database.admin(
    `select count(*)::int as rows, count(*) filter (where b = 'newer')::int as newer, count(*) filter (where b like 'old%')::int as old from t`,
  )
  return rows[0]
}

async function filled(database: Database, rows: number): Promise<void> {
  const owner = await database.session('owner')
  await owner.query(`
    create unlogged table t (id int primary key, number int generated always as identity,
      other int generated always as identity, b text);
    create index on t (b);
    insert into t (id, b) select n, 'old' || repeat('x', 100) from generate_series(1, ${rows}) n;
    analyze t`)
}

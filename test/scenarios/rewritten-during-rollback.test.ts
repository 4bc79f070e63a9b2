import { expect } from 'vitest'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { RollingBack, rebuildRequest } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import type { ClientBase } from 'pg'
import { isWaiting, until } from '../support/until.ts'
import { rebuild } from '../support/commands.ts'

// An ALTER TABLE that rewrites, and REPACK (CONCURRENTLY), give a table new row versions, which a snapshot from before
// does not see: to it the table is empty. So whoever reads rows in a snapshot holds on to the table first.

test('rows written since a rebuild are restored, though the table is rewritten during the read', async ({
  database,
}) => {
  const table = database.table('ledger')
  const app = await database.session('app')
  const place = quoted(table).text
  await app.query(`create table ${place} (id int primary key, note text)`)
  await app.query(`insert into ${place} select n, 'before' from generate_series(1, 50) n`)
  const { runId } = await rebuild(database.url, written(table), rebuildRequest(), quietly())
  await app.query(`update ${place} set note = 'since' where id <= 10`)
  const { rows: logs } = await database.admin<{ name: string }>(
    `select relname as name from pg_class where relkind = 'r' and relname like 'ebb\\_%\\_log'`,
  )

  // The batch has its snapshot, and waits for the log.
  const holder = await database.session('holder')
  await holder.query(`begin; lock table ebb."${logs[0]?.name}" in share mode`)
  const rollingBack = new RollingBack(database, runId)
  await until(() => someWait(app), { what: 'the batch to wait' })

  const other = await database.session('somebody else')
  let isDone = false
  const rewritten = other
    .query(`alter table ${place} alter column note type text using note || ''`)
    .finally(() => (isDone = true))
  await until(async () => isDone || (await isWaiting(app, 'somebody else')))
  await holder.query('commit')
  await rewritten
  await rollingBack.end()

  const { rows } = await app.query(sql`select note, count(*)::int as n from ${quoted(table)} group by 1 order by 1`)
  expect(rows).toEqual([
    { note: 'before', n: 40 },
    { note: 'since', n: 10 },
  ])
})

async function someWait(session: ClientBase): Promise<boolean> {
  const { rowCount } = await session.query(
    `select from pg_stat_activity where datname = current_database() and application_name like 'ebb %' and wait_event_type = 'Lock'`,
  )
  return rowCount !== 0
}

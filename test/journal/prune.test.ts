import { describe, expect } from 'vitest'
import { dropCandidates } from '../../src/engine/purge/candidates/review.ts'
import { planRollbackOf, retire } from '../../src/engine/runs/runs.ts'
import { KEPT_DAYS } from '../../src/journal/prune.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { Rebuilding } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { partition, writeCandidates } from '../support/commands.ts'

// What is over goes from the journal by the next command that has worked, whatever it was.

const YEAR_AND_MORE = `${KEPT_DAYS} days`

describe('an old finished run', () => {
  test('is pruned with all its entries, and not a day early', async ({ database }) => {
    const table = await events(database)
    const first = await purged(database, table)
    const second = await purged(database, table)
    await age(database, [second], `${KEPT_DAYS - 1} days`)
    await age(database, [first], YEAR_AND_MORE)

    const third = await purged(database, table)
    expect(await runs(database)).toEqual([second, third])
    expect(await column(database, 'select distinct run_id::text from ebb.purge_batch order by 1')).toEqual([
      second,
      third,
    ])
  })

  test('is kept while it is the latest of its command on its table', async ({ database }) => {
    const table = await events(database)
    const latest = await purged(database, table)
    await age(database, [latest], YEAR_AND_MORE)
    const other = await purged(database, await events(database, 'others'))
    expect(await runs(database)).toEqual([latest, other])
  })

  test('is kept while another run of its table is unfinished', async ({ database }) => {
    const table = await events(database)
    const first = await purged(database, table)
    const unfinished = await purged(database, table)
    await age(database, [first], YEAR_AND_MORE)
    await database.admin(`update ebb.run set status = 'running' where id = ${unfinished}`)
    const other = await purged(database, await events(database, 'others'))
    expect(await runs(database)).toEqual([first, unfinished, other])

    await database.admin(`update ebb.run set status = 'abandoned' where id = ${unfinished}`)
    expect(await runsAfterAnother(database)).not.toContain(first)
  })

  test('is kept while the same command, or a rollback, may need it, even after other commands', async ({
    database,
  }) => {
    const table = await events(database)
    const order = monthly({ keep: null })
    const { runId } = await partition(database.url, written(table), order, quietly())
    await purged(database, table)
    await age(database, [runId], YEAR_AND_MORE)
    expect(await runsAfterAnother(database)).toContain(runId)
    expect(await partition(database.url, written(table), order, quietly())).toMatchObject({ runId, nothingToDo: true })
    expect((await planRollbackOf(database.url, { runId }, quietly())).objections).toEqual([])
  })

  test('is kept while the retired table of a rebuild exists', async ({ database }) => {
    const { runId } = await new Rebuilding(database, await events(database)).end()
    await age(database, [runId, await another(database, runId)], YEAR_AND_MORE)
    // As if nothing were caught any more.
    await database.admin('delete from ebb.capture')
    expect(await runsAfterAnother(database)).toContain(runId)
  })

  test('is kept while its capture log exists, even without the retired table, and pruned after that', async ({
    database,
  }) => {
    const table = await events(database)
    const { runId } = await new Rebuilding(database, table).end()
    await age(database, [runId, await another(database, runId)], YEAR_AND_MORE)
    // As if the former table were gone: no table has this number.
    await database.admin(`update ebb.run set source_oid = 1 where id = ${runId}`)
    expect(await runsAfterAnother(database)).toContain(runId)

    await database.admin(sql`drop trigger ${ident(await triggerOf(database, runId))} on ${quoted(table)}`.text)
    expect(await runsAfterAnother(database)).toContain(runId)
    await retire(database.url, { runId }, quietly())
    expect(await runsAfterAnother(database)).not.toContain(runId)
  })

  test('is pruned once its retired table has been dropped', async ({ database }) => {
    const { runId } = await new Rebuilding(database, await events(database)).end()
    await age(database, [runId, await another(database, runId)], YEAR_AND_MORE)
    await retire(database.url, { runId }, quietly())
    expect(await runsAfterAnother(database)).not.toContain(runId)
  })

  test('is kept while its candidate set exists', async ({ database }) => {
    const table = await events(database)
    const candidates = await writeCandidates(database.url, written(table), { where: 'id < 10' }, quietly())
    const set = candidates.runId ?? ''
    await age(database, [set, await another(database, set)], YEAR_AND_MORE)
    expect(await runsAfterAnother(database)).toContain(set)

    await dropCandidates(database.url, set, quietly())
    expect(await runsAfterAnother(database)).not.toContain(set)
  })

  test('is pruned with at most a hundred others, the oldest first', async ({ database }) => {
    const table = await events(database)
    const first = await purged(database, table)
    await database.admin(`
      insert into ebb.run (command, schema_name, table_name, request, plan, status, ebb_version, started_at, ended_at)
      select command, schema_name, table_name, request, plan, status, ebb_version, started_at, now() - make_interval(days => ${KEPT_DAYS} + n)
      from ebb.run, generate_series(1, 120) n where id = ${first}`)
    const gone = async () =>
      column(database, `select (ended_at - now() + interval '${KEPT_DAYS} days')::text from ebb.run`)
    await purged(database, table)
    expect(await gone()).toHaveLength(22)
    await purged(database, table)
    expect(await gone()).toHaveLength(3)
  })

  test('that cannot be pruned is reported, without failing the command', async ({ database }) => {
    const table = await events(database)
    const first = await purged(database, table)
    const second = await purged(database, table)
    await age(database, [first], YEAR_AND_MORE)
    await database.admin(
      `create table kept (run bigint constraint kept_run references ebb.run); insert into kept values (${first})`,
    )

    const rebuilding = new Rebuilding(database, table)
    const { runId } = await rebuilding.end()
    expect(rebuilding.events).toContainEqual(
      expect.objectContaining({
        type: 'note',
        text: expect.stringMatching(/old runs were not pruned from the journal: .*kept_run/) as string,
      }),
    )
    expect(await runs(database)).toEqual([first, second, runId])
  })
})

test('two commands at once do not wait for one another: each prunes what the other does not', async ({ database }) => {
  const table = await events(database)
  const [first, second] = [await purged(database, table), await purged(database, table)]
  await age(database, [first, second], YEAR_AND_MORE)
  const other = await database.session('another command', { admin: true })
  await other.query('begin')
  await other.query(`delete from ebb.run where id = ${first}`)

  const third = await purged(database, table)
  await other.query('rollback')
  expect(await runs(database)).toEqual([first, third])
})

test('old entries of rotate are pruned, except the last removal of each table', async ({ database }) => {
  const table = await events(database)
  await purged(database, table)
  const line = (partition: string, action: string, days: number, of = table.name) =>
    database.admin(`
      insert into ebb.rotation (at, schema_name, table_name, partition_name, action)
      select now() - interval '${days} days', schema_name, ${literal(of).text}, '${partition}', '${action}' from ebb.run limit 1`)
  await line('created long ago', 'created', KEPT_DAYS)
  await line('created', 'created', KEPT_DAYS - 1)
  await line('removed long ago', 'dropped', KEPT_DAYS + 1)
  await line('removed last', 'detached', KEPT_DAYS)
  await line('removed from another', 'truncated', KEPT_DAYS, 'another')

  await purged(database, table)
  expect(await column(database, 'select partition_name from ebb.rotation order by 1')).toEqual([
    'created',
    'removed from another',
    'removed last',
  ])
})

test('entries of partitions and captures are pruned with it', async ({ database }) => {
  const table = await events(database)
  await purged(database, table)
  await database.admin(`
    insert into ebb.closed_partition (partition_oid, schema_name, table_name, partition_name)
    values ('pg_class'::regclass, 's', 't', 'there'), (1, 's', 't', 'gone')`)
  const { runId } = await new Rebuilding(database, table).end()
  await database.admin(`insert into ebb.truncation (log_name) select log_name from ebb.capture where run_id = ${runId}`)
  await database.admin(`insert into ebb.truncation (log_name) values ('gone')`)
  const captured = await column(database, 'select log_name from ebb.capture')

  await purged(database, table)
  expect(await column(database, 'select partition_name from ebb.closed_partition')).toEqual(['there'])
  expect((await column(database, 'select log_name from ebb.truncation')).sort()).toEqual(captured.sort())
})

async function events(database: Database, name = 'events'): Promise<TableName> {
  const table = database.table(name)
  const owner = await database.session('owner')
  const place = quoted(table)
  for (const statement of [
    sql`create table ${place} (id int primary key, created_at timestamptz not null default now())`,
    sql`insert into ${place} select n from generate_series(1, 50) n`,
    sql`analyze ${place}`,
  ])
    await owner.query(statement.text)
  return table
}

/** Purges the first row that is left; returns the number of the run. */
async function purged(database: Database, table: TableName): Promise<string> {
  const { rows } = await database.admin<{ id: number }>(sql`select min(id) as id from ${quoted(table)}`.text)
  const { runId } = await purgeRows(database, table, purgeRequest(`id = ${rows[0]?.id}`), { turns: batchesOf(10) })
  return runId ?? 'none'
}

/** As if the same had been begun again, and given up; returns the number of that run. */
async function another(database: Database, id: string): Promise<string> {
  const { rows } = await database.admin<{ id: string }>(`
    insert into ebb.run (command, schema_name, table_name, request, plan, status, ebb_version, ended_at)
    select command, schema_name, table_name, request, plan, 'abandoned', ebb_version, now() from ebb.run where id = ${id}
    returning id::text`)
  return rows[0]?.id ?? 'none'
}

async function triggerOf(database: Database, runId: string): Promise<string> {
  const [name] = await column(
    database,
    `select tgname from pg_trigger where oid in (select trigger_oid from ebb.capture where run_id = ${runId})`,
  )
  return name ?? 'none'
}

/** As if they had ended so long ago. */
async function age(database: Database, ids: readonly string[], ago: string): Promise<void> {
  await database.admin(`update ebb.run set ended_at = now() - interval '${ago}' where id in (${ids.join()})`)
}

async function runs(database: Database): Promise<string[]> {
  return column(database, 'select id::text from ebb.run order by ebb.run.id')
}

async function runsAfterAnother(database: Database): Promise<string[]> {
  await purged(database, await events(database, `other_${Math.random()}`))
  return runs(database)
}

async function column(database: Database, query: string): Promise<string[]> {
  const { rows } = await database.admin<Record<string, string>>(query)
  return rows.map((row) => Object.values(row)[0] ?? '')
}

import { expect } from 'vitest'
import { migrateJournal } from '../../src/journal/migrate.ts'
import type { Session } from '../../src/db/session.ts'
import { parseTableName } from '../../src/sql/parse-name.ts'
import { planPurgeOf, planRebuildOf } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { quietly } from '../support/tool.ts'

// A hold on a table is one on its partitions, and the other way round.

async function visits(database: Database): Promise<Session> {
  const owner = await database.session('owner')
  await owner.query(`
    create table visits (id int primary key, old boolean default true) partition by range (id);
    create table visits_1 partition of visits for values from (0) to (100);
    create table visits_2 partition of visits for values from (100) to (300) partition by range (id);
    create table visits_2a partition of visits_2 for values from (100) to (200);
    create table pages (id int primary key, visit int references visits on delete cascade);
    create index on pages (visit);
    insert into visits select generate_series(1, 190); insert into pages select n, n from generate_series(1, 190) n; analyze`)
  await migrateJournal(owner, 'ebb')
  return owner
}

test('a hold is seen by what removes rows of a partition of its table, of the table of its partition, or of dependents', async ({
  database,
}) => {
  const owner = await visits(database)
  const held = async (table: string) => {
    const request = purgeRequest('id % 3 = 0', { cascade: true })
    const { objections } = await planPurgeOf(database.url, parseTableName(table), request, quietly())
    return objections.map(({ code, what }) => [code, /rows of (\S+) are on hold/.exec(what)?.[1]])
  }
  const hold = async (table: string, bounds: string | null, until = '1 day') => {
    await owner.query('delete from ebb.hold')
    const values = [table, bounds, until]
    await owner.query(
      `insert into ebb.hold (schema_name, table_name, bounds, until) values ('public', $1, $2, now() + $3::interval)`,
      values,
    )
  }
  const ALL = ['visits', 'visits_1', 'visits_2', 'visits_2a', 'pages'] as const
  const under = async () => {
    const found: string[] = []
    for (const table of ALL) if ((await held(table)).some(([code]) => code === 'hold')) found.push(table)
    return found
  }

  await hold('visits', null)
  expect(await under()).toEqual(['visits', 'visits_1', 'visits_2', 'visits_2a'])
  expect(await held('visits_1')).toEqual([['hold', 'public.visits']])
  const { objections } = await planRebuildOf(
    database.url,
    parseTableName('visits_1'),
    rebuildRequest({ keep: 'id > 50' }),
    quietly(),
  )
  expect(objections.map(({ code }) => code)).toContain('hold')

  // Of a partition of a partition nothing is decided by bounds.
  await hold('visits', 'FOR VALUES FROM (0) TO (50)')
  expect(await under()).toEqual(['visits', 'visits_1', 'visits_2a'])
  await hold('visits_2a', null)
  expect(await under()).toEqual(['visits', 'visits_2', 'visits_2a'])
  // A purge with --cascade would delete its rows, too.
  await hold('pages', null)
  expect(await under()).toEqual([...ALL])
  await hold('pages', null, '-1 day')
  expect(await under()).toEqual([])
})

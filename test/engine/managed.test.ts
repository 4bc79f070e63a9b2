import { describe, expect } from 'vitest'
import { advise } from '../../src/engine/commands/advise.ts'
import { inspect } from '../../src/engine/commands/inspect.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import {
  partition,
  partitionByCopy,
  planPartitionOf,
  planPurgeOf,
  planRebuildOf,
  rebuild,
} from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { purgeRequest, purgeRows } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { OWNER } from '../support/template.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { ebb } from '../cli/support.ts'
import { monthlyEvents, planOf, rotateOne } from './rotate-support.ts'

const byMonth = monthly({ by: 'at', keep: null })

describe('event triggers', () => {
  test('that reject drops, or change created objects, are detected beforehand', async ({ database }) => {
    const table = await visits(database)
    const carryOut = () => rebuild(database.url, written(table), rebuildRequest(), quietly())
    const untouched = async () => {
      const { rows } = await database.admin(`select from pg_class where relname like 'visits\\_%' and relkind = 'r'`)
      expect(rows).toEqual([])
    }

    await eventTrigger(database, 'guard', 'sql_drop', `raise exception 'nobody drops tables here';`)
    const { notes, objections } = await planRebuildOf(database.url, written(table), rebuildRequest(), quietly())
    expect(objections).toEqual([])
    expect(notes.join()).toMatch(/event trigger guard fires on sql_drop/)
    await expect(carryOut()).rejects.toThrow(/guard\) refuses what has to be done: nobody drops tables here/)
    await untouched()

    await database.admin('drop event trigger guard')
    await eventTrigger(
      database,
      'secure',
      'ddl_command_end',
      `for r in select * from pg_event_trigger_ddl_commands() where command_tag = 'CREATE TABLE' loop
         execute format('alter table %s enable row level security', r.objid::regclass); end loop;`,
    )
    await expect(carryOut()).rejects.toThrow(/secure\) gives new tables row-level security/)
    await untouched()
  })

  test('have refused nothing where the session has ended meanwhile', async ({ database }) => {
    const table = await visits(database)
    await eventTrigger(database, 'guard', 'ddl_command_end', 'perform pg_terminate_backend(pg_backend_pid());')
    const words = ['rebuild', display(table), '--keep-all', '--url', database.url, '--execute']
    const { code, err } = await ebb(words)
    expect({ code, isRefused: err.includes('refuses') }, err).toEqual({ code: 75, isRefused: false })
  })

  test('that refuse functions or triggers are detected beforehand', async ({ database }) => {
    const table = await visits(database)
    await eventTrigger(
      database,
      'guard',
      'ddl_command_end',
      `for r in select * from pg_event_trigger_ddl_commands() where command_tag = 'CREATE TRIGGER' loop
         raise exception 'no triggers, please'; end loop;`,
    )
    const rebuilt = rebuild(database.url, written(table), rebuildRequest(), quietly())
    await expect(rebuilt).rejects.toThrow(/guard\) refuses what has to be done: no triggers, please/)
    expect(
      (await database.admin(`select from pg_class where relname like 'visits\\_%' and relkind = 'r'`)).rows,
    ).toEqual([])
  })

  test('that refuse to have tables dropped are detected before a rotation changes anything', async ({ database }) => {
    const table = await monthlyEvents(database, -5, 1)
    await eventTrigger(database, 'guard', 'sql_drop', `raise exception 'nobody drops tables here';`)
    const { created, retired, failed } = await rotateOne(database, table, { keep: '2 months' })
    expect({ created, retired }).toEqual({ created: [], retired: [] })
    expect(failed[0]?.error.message).toMatch(/guard\) refuses what has to be done: nobody drops tables here/)
  })

  test('that refuse to have publications altered are detected beforehand', async ({ database }) => {
    const table = await visits(database)
    const owner = await database.session('owner')
    await database.admin(sql`grant create on database ${ident(database.name)} to ${ident(OWNER)}`.text)
    await owner.query(sql`create publication sent for table ${quoted(table)} with (publish_via_partition_root)`.text)
    await eventTrigger(database, 'guard', 'ddl_command_start', `raise exception 'ask the data team';`)
    await database.admin('drop event trigger guard')
    await database.admin(
      `create event trigger guard on ddl_command_start when tag in ('ALTER PUBLICATION') execute function public.guard()`,
    )
    const copied = { ...byMonth, transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const
    for (const carryOut of [
      () => partition(database.url, written(table), byMonth, quietly()),
      () => partitionByCopy(database.url, written(table), copied, quietly()),
      () => rebuild(database.url, written(table), rebuildRequest(), quietly()),
    ])
      await expect(carryOut()).rejects.toMatchObject({
        message: expect.stringMatching(/guard\) refuses what has to be done: ask the data team/) as string,
        advice: { state: 'Nothing has been changed.' },
      })
    expect((await database.admin(`select from pg_class where relname ~ '^visits_.*(ebb|history)'`)).rows).toEqual([])

    await database.admin('drop event trigger guard')
    await partition(database.url, written(table), byMonth, quietly())
  })

  test('that only observe are no obstacle', async ({ database }) => {
    const table = await visits(database)
    await eventTrigger(database, 'watch', 'ddl_command_end', 'null;')
    await partition(database.url, written(table), byMonth, quietly())
    const { notes } = await planPurgeOf(database.url, written(table), purgeRequest('id < 10'), quietly())
    expect(notes.join()).not.toMatch(/event trigger/)
  })
})

describe('managed tables', () => {
  test('pg_partman: conflicts with rotate, which can take over the set', async ({ database }) => {
    const table = await monthlyEvents(database, -1, 1)
    await database.admin(`create schema partman; grant usage on schema partman to public;
      create table partman.part_config (parent_table text, partition_interval text, premake int, retention text);
      grant select on partman.part_config to public`)
    const config = sql`insert into partman.part_config values (${`${table.schema}.${table.name}`}, '1 month', 4, '6 months')`
    expect((await planOf(database, table)).objections).toEqual([])
    await database.admin(config)

    const { objections } = await planOf(database, table)
    expect(objections.map(({ code }) => code)).toEqual(['managed:pg_partman'])
    expect(objections[0]?.what).toMatch(/interval 1 month, premake 4, retention 6 months$/)
    expect(objections[0]?.fix).toMatch(/ebb rotate .* --keep '6 months'/)
    expect((await rotateOne(database, table)).created).toEqual([])
    expect((await rotateOne(database, table, {}, { accept: ['managed:pg_partman'] })).created).toHaveLength(3)
    await database.admin('revoke select on partman.part_config from public')
    expect((await planOf(database, table)).objections).toEqual([])
  })

  // The catalogue as TimescaleDB has it; chunks inherit, and a continuous aggregate is a view on another hypertable.
  test.for([
    ['2.19', 'schema_name name, table_name name', `'public', '_hyper_1_1_chunk'`],
    ['2.31', 'relid regclass', `'_hyper_1_1_chunk'`],
  ])(
    'TimescaleDB %s: one objection to hypertables, chunks and continuous aggregates, with its ways',
    async ([, columns, chunk], { database }) => {
      const table = await visits(database)
      await database.admin(`create schema _timescaledb_catalog; grant usage on schema _timescaledb_catalog to public;
      create table _timescaledb_catalog.hypertable (id int, schema_name name, table_name name);
      create table _timescaledb_catalog.chunk (id int, hypertable_id int, ${columns});
      create table _timescaledb_catalog.continuous_agg (mat_hypertable_id int, raw_hypertable_id int, user_view_schema name, user_view_name name);
      insert into _timescaledb_catalog.hypertable values (1, 'public', 'visits'), (2, 'public', '_materialized_hypertable_2');
      insert into _timescaledb_catalog.continuous_agg values (2, 1, 'public', 'Per day');
      grant select on all tables in schema _timescaledb_catalog to public`)
      const owner = await database.session('owner')
      await owner.query(`create table _hyper_1_1_chunk (check (at > '2000-01-01')) inherits (visits);
      create table _materialized_hypertable_2 (at timestamptz not null, n int);
      create view "Per day" as select * from _materialized_hypertable_2`)
      await database.admin(`insert into _timescaledb_catalog.chunk values (1, 1, ${chunk})`)

      const accept = ['managed:TimescaleDB']
      for (const [name, what, whole] of [
        ['visits', 'as a hypertable: ', 'public.visits'],
        ['_hyper_1_1_chunk', 'as a chunk of public.visits: ', 'public.visits'],
        ['_materialized_hypertable_2', 'as a hypertable of public."Per day": ', 'public."Per day"'],
        ['Per day', 'as a continuous aggregate: ', 'public."Per day"'],
      ] as const) {
        const one = written({ schema: 'public', name })
        const plans = [
          await planPartitionOf(database.url, one, byMonth, quietly({ accept })),
          await planRebuildOf(database.url, one, rebuildRequest(), quietly({ accept })),
          await planOf(database, { schema: 'public', name }),
        ]
        for (const { objections } of plans)
          expect(objections).toMatchObject([
            {
              code: 'managed:TimescaleDB',
              what: expect.stringContaining(what) as string,
              fix: expect.stringContaining(`drop_chunks('${whole}', older_than`) as string,
            },
          ])
        expect(plans[0]?.objections[0]?.fix).toContain(`add_retention_policy('${whole}', drop_after`)
        const { risks, advice } = await inspect(database.url, one, quietly())
        expect({ fixes: risks.filter(({ fix }) => /no inherit|drop_chunks/.test(fix)).length, advice }).toEqual({
          fixes: 1,
          advice: [],
        })
        await expect(advise(database.url, one, { keep: null, olderThan: null }, quietly())).rejects.toThrow(
          /managed by TimescaleDB/,
        )
      }
      await purgeRows(database, table, purgeRequest('id < 10'))
    },
  )

  test('pg_cron: a job that names the table and removes rows', async ({ database }) => {
    const table = await visits(database)
    await database.admin(`create schema cron; grant usage on schema cron to public;
      create table cron.job (command text, active bool); grant select on cron.job to public`)
    const codes = async (command: string) => {
      await database.admin('truncate cron.job')
      await database.admin(sql`insert into cron.job values (${command}, true)`)
      const { objections } = await planPartitionOf(database.url, written(table), byMonth, quietly())
      return objections.map(({ code }) => code)
    }
    expect(await codes(`delete from ${table.name} where at < now() - interval '1 year'`)).toEqual(['managed:pg_cron'])
    expect(await codes(`vacuum ${table.name}`)).toEqual([])
    expect(await codes(`delete from ${table.name}_of_others`)).toEqual([])
  })
})

async function visits(database: Database): Promise<TableName> {
  const table = { schema: 'public', name: 'visits' }
  const owner = await database.session('owner')
  await owner.query(
    sql`create table ${quoted(table)} (id bigint generated always as identity primary key, at timestamptz not null)`,
  )
  await owner.query(
    sql`insert into ${quoted(table)} (at) select now() - g * interval '1 day' from generate_series(1, 60) g`,
  )
  return table
}

async function eventTrigger(database: Database, name: string, event: string, body: string): Promise<void> {
  await database.admin(
    `create or replace function public.${name}() returns event_trigger language plpgsql as $$ declare r record; begin ${body} end $$`,
  )
  await database.admin(`create event trigger ${name} on ${event} execute function public.${name}()`)
}

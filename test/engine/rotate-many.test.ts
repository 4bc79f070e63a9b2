import { expect } from 'vitest'
import { planRotations } from '../../src/engine/commands/rotate.ts'
import { readOfEach } from '../../src/engine/side-by-side.ts'
import type { TableName } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { addMonths, monthlyEvents, options, request, rotateOne } from './rotate-support.ts'

/** Tuples that sequential scans have read in this database, by table; those of sessions that have ended. */
async function scanned(database: Database): Promise<ReadonlyMap<string, number>> {
  const { rows } = await database.admin<{ name: string; read: number }>(
    `select pg_stat_clear_snapshot(), relid::regclass::text as name, seq_tup_read::int as read from pg_stat_all_tables`,
  )
  return new Map(rows.map(({ name, read }) => [name, read]))
}

/** Until the sessions that were opened have ended, and have told what they did. */
async function settled(database: Database): Promise<void> {
  await until(async () => {
    const { rowCount } = await database.admin(
      `select from pg_stat_activity where datname = current_database() and application_name like 'ebb%'`,
    )
    return rowCount === 0
  })
}

test('planning a rotation scans neither a long journal nor a large catalogue', async ({ database }) => {
  const events = await monthlyEvents(database, -2, 4)
  await database.admin('set role ebb_owner; create table kinds (id int primary key)')
  await rotateOne(database, events)
  // 100,000 runs, and as many lines of rotations; constraints, triggers and types by the thousand.
  await database.admin(`
    set role ebb_owner;
    insert into ebb.run (command, schema_name, table_name, request, plan, status, ebb_version, ended_at)
      select 'purge', 'public', 't' || n % 1000, '{}', '{}', 'done', '1', now() from generate_series(1, 100000) n;
    insert into ebb.rotation (schema_name, table_name, partition_name, action)
      select 'public', 't' || n % 1000, 'p' || n, 'created' from generate_series(1, 100000) n;
    insert into ebb.closed_partition (partition_oid, schema_name, table_name, partition_name)
      select 100000 + n, 'public', 't' || n % 1000, 'p' || n from generate_series(1, 30000) n;
    insert into ebb.policy (schema_name, table_name, terms, accepted)
      select 'public', 't' || n % 1000, '{}', '{}' from generate_series(1, 10000) n;
    insert into ebb.partition_set (schema_name, table_name, policy) select 'public', 't' || n, '{}' from generate_series(1, 3000) n;
    do $$ begin for i in 1..1500 loop
      execute format('create domain public.d_%s as int check (value > %1$s)', i);
      execute format('create trigger t_%s before insert on public.kinds for each row execute function pg_catalog.suppress_redundant_updates_trigger()', i);
    end loop; end $$;
    reset role; analyze`)
  const before = await scanned(database)
  const [plan] = await planRotations(database.url, request({ tables: [events] }), options())
  expect(plan?.objections).toEqual([])
  await settled(database)
  const after = await until(() => scanned(database))
  const read = [...after].map(([name, n]) => [name, n - (before.get(name) ?? 0)] as const)
  const long = read.filter(
    ([name, n]) => n >= 1000 && /^(ebb\.|pg_constraint|pg_trigger|pg_depend|pg_type$)/.test(name),
  )
  expect(long).toEqual([])
})

test('many sets are planned in a few sessions, in their order, and in one if there is no other', async ({
  database,
}) => {
  const owner = await database.session('owner')
  const tables = Array.from({ length: 24 }, (_, i): TableName => ({ schema: 'public', name: `set_${i}` }))
  for (const { name } of tables)
    await owner.query(`create table ${name} (at timestamptz not null) partition by range (at)`)
  await addMonths(owner, database, tables[3]!, 0, 1)
  const plans = await planRotations(database.url, request({ tables }), options())
  expect(plans.map(({ table }) => table)).toEqual(tables)
  expect(plans.map(({ create }) => create.length > 0).indexOf(true)).toBe(3)

  const session = await database.session('reading')
  const reading = { session, target: database.url, purpose: 'read', patience: options() }
  const pids = new Set<number>()
  const asked = await readOfEach(reading, tables, async (reader, table) => {
    const { rows } = await reader.query<{ pid: number }>('select pg_backend_pid() as pid, pg_sleep(0.01)')
    pids.add(rows[0]!.pid)
    return table
  })
  expect(asked).toEqual(tables)
  expect(pids.size).toBeGreaterThan(1)
  const broken = readOfEach(reading, tables, async (reader, { name }) => {
    await reader.query(name === 'set_5' ? 'select 1 / 0' : 'select pg_sleep(0.01)')
  })
  await expect(broken).rejects.toThrow(/division by zero/)

  const alone = await database.role('alone')
  await database.admin(`grant ebb_owner to "${alone}"; alter role "${alone}" connection limit 1`)
  const again = await planRotations(database.urlFor(alone), request({ tables }), options())
  expect(again.map(({ table }) => table)).toEqual(tables)
})

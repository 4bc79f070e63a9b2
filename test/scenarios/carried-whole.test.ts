import { expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import type { WrittenName } from '../../src/sql/parse-name.ts'
import { partition, partitionByCopy, rebuild } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'

// What is easily lost when a table's things are made anew, by what the catalogue says of it.

const byHundred = { by: 'id', every: { kind: 'ids', ids: 100n }, keep: null, premake: 1 } as const
const copied = { transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const

test.for([
  ['rebuild', (url: string, table: WrittenName) => rebuild(url, table, rebuildRequest(), quietly())],
  ['partition', (url: string, table: WrittenName) => partition(url, table, monthly(byHundred), quietly())],
  [
    'partition --method copy',
    (url: string, table: WrittenName) => partitionByCopy(url, table, { ...monthly(byHundred), ...copied }, quietly()),
  ],
] as const)('%s carries it there and back', async ([, command], { database }) => {
  const table = { schema: 'public', name: 'events' }
  const app = await database.session('app')
  await app.query(`
    create table events (id bigint generated always as identity primary key, kind text);
    create index by_kind on events (kind);
    create function nothing() returns trigger language plpgsql as 'begin return null; end';
    create trigger noting after insert on events for each row execute function nothing();
    create function counted() returns bigint language sql begin atomic select count(*) from events; end;
    alter index events_pkey depends on extension plpgsql;
    alter index by_kind depends on extension plpgsql;
    alter trigger noting on events depends on extension plpgsql;
    alter function counted() depends on extension plpgsql;
    alter table events force row level security;
    ${database.version < 150000 ? '' : 'alter sequence events_id_seq set unlogged;'}
    insert into events (kind) select 'x' from generate_series(1, 200);
    analyze events`)
  const before = await easilyLost(database)

  const { runId } = await command(database.url, written(table))
  expect(await easilyLost(database)).toEqual(before)
  await rollback(database.url, { runId }, quietly())
  expect(await easilyLost(database)).toEqual(before)
})

async function easilyLost(database: Database): Promise<unknown> {
  const { rows } = await database.admin(`
    select array(select pg_describe_object(classid, objid, 0) from pg_depend
                 where deptype = 'x' and pg_describe_object(classid, objid, 0) !~ '_(retired|history|ebb)$' order by 1) as of_extension,
      (select relrowsecurity from pg_class where oid = 'events'::regclass) as secured,
      (select relforcerowsecurity from pg_class where oid = 'events'::regclass) as forced,
      (select relpersistence from pg_class where oid = 'events_id_seq'::regclass) as sequence`)
  return rows[0]
}

import { expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import type { WrittenName } from '../../src/sql/parse-name.ts'
import {
  partition,
  partitionByCopy,
  planPartitionCopyOf,
  planPartitionOf,
  planRebuildOf,
  rebuild,
} from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'

// Whatever publishes a table is an objection in the plan, or sends the same rows and columns under the same name
// afterwards, and after the way back: never a failure at the swap.

const EVENTS = written({ schema: 'public', name: 'events' })
const BY_ID = monthly({ by: 'id', every: { kind: 'ids', ids: 100n }, keep: null, premake: 1 })
const COPIED = { ...BY_ID, transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const

const WAYS = {
  partition: {
    plan: (url: string) => planPartitionOf(url, EVENTS, BY_ID, quietly()),
    run: (url: string, table: WrittenName) => partition(url, table, BY_ID, quietly()),
  },
  'partition --method copy': {
    plan: (url: string) => planPartitionCopyOf(url, EVENTS, COPIED, quietly()),
    run: (url: string, table: WrittenName) => partitionByCopy(url, table, COPIED, quietly()),
  },
  rebuild: {
    plan: (url: string) => planRebuildOf(url, EVENTS, rebuildRequest(), quietly()),
    run: (url: string, table: WrittenName) => rebuild(url, table, rebuildRequest(), quietly()),
  },
} as const

const ROOT = 'with (publish_via_partition_root)'
/** What publishes the table; the ways that refuse it, with their codes. */
const PUBLICATIONS: Record<
  string,
  { of: string; since?: number; refused: Partial<Record<keyof typeof WAYS, string[]>> }
> = {
  'under the names of partitions': {
    of: 'create publication p for table events',
    refused: { partition: ['publication:p'], 'partition --method copy': ['publication:p'] },
  },
  'by name': {
    of: `create publication p for table events, other ${ROOT}; create publication "Q p" for table only events ${ROOT}`,
    refused: {},
  },
  'by name, and some columns of some rows': {
    since: 15,
    of: `create publication p for table events (kind, id) where (id > 3 and kind <> 'it''s') with (publish = 'insert', publish_via_partition_root);
      create publication "Q p" for table events (id) where (id > 3) ${ROOT}; create publication r for table events ${ROOT}`,
    refused: {},
  },
  'with its schema': {
    since: 15,
    of: `create publication p for tables in schema public ${ROOT}`,
    refused: { 'partition --method copy': ['publication:p'], rebuild: ['publication:p'] },
  },
  'with its schema, and by name': {
    since: 15,
    of: `create publication p for table events, tables in schema public ${ROOT}`,
    refused: {
      partition: ['not-ours:publication p'],
      'partition --method copy': ['not-ours:publication p', 'publication:p'],
      rebuild: ['not-ours:publication p', 'publication:p'],
    },
  },
  'with all tables': {
    of: `create publication p for all tables ${ROOT}`,
    refused: { 'partition --method copy': ['publication:p'], rebuild: ['publication:p'] },
  },
}

test.for(Object.entries(PUBLICATIONS))('published %s', async ([, { of, since = 14, refused }], { database, skip }) => {
  if (database.version < since * 10_000) skip(`came with PostgreSQL ${since}`)
  if (of.includes('"Q p"') && since < 15 && database.version >= 150_000) skip('the next one does it')
  await database.admin(`set role ebb_owner; create table events (id bigint primary key, kind text); create table other (id int primary key);
    insert into events select n, 'x' from generate_series(1, 200) n; analyze events; reset role; ${of};
    do $$ declare name text; begin
      for name in select p.pubname from pg_publication p where not p.puballtables and ${/in schema/.test(of) ? 'false' : 'true'} loop
        execute format('alter publication %I owner to ebb_owner', name);
      end loop; end $$`)
  const before = await published(database)
  for (const [name, { plan, run }] of Object.entries(WAYS)) {
    const { objections } = await plan(database.url)
    const codes = refused[name as keyof typeof WAYS] ?? []
    expect({ [name]: objections.map(({ code }) => code).sort() }).toEqual({ [name]: codes })
    if (codes.length > 0) continue
    const { runId } = await run(database.url, EVENTS)
    expect({ [name]: await published(database) }).toEqual({ [name]: before })
    await rollback(database.url, { runId }, quietly())
    expect({ [`${name}, rolled back`]: await published(database) }).toEqual({ [`${name}, rolled back`]: before })
  }
})

/** What subscribers are sent of the table, and how that was said. */
async function published(database: Database): Promise<unknown> {
  const { rows } = await database.admin(
    `select p.pubname, p.tablename${database.version < 150000 ? '' : ', p.attnames, p.rowfilter'},
       (select count(*)::int from pg_publication_rel r join pg_publication b on b.oid = r.prpubid where b.pubname = p.pubname) as named
     from pg_publication_tables p where p.schemaname = 'public' order by 1, 2`,
  )
  return rows
}

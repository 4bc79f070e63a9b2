import { describe, expect } from 'vitest'
import { planRollbackOf, resume, rollback } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import type { WrittenName } from '../../src/sql/parse-name.ts'
import { ident, literal, sql } from '../../src/sql/sql.ts'
import { batchesOf, contentOf, markRequest, purgeRequest, purgeRows } from '../support/purging.ts'
import { test, type Database } from '../support/database.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import {
  mark,
  partition,
  partitionByCopy,
  planPartitionCopyOf,
  planPartitionOf,
  planRebuildOf,
  purge,
  rebuild,
} from '../support/commands.ts'

// Foreign keys whose triggers somebody has switched off notice nothing: rows would go that others refer to.

interface Family {
  readonly parent: TableName
  readonly child: TableName
  readonly grandchild: TableName
}

/** Every other parent is old. Old parents have children, and those have children. */
async function family(database: Database, onDelete: string): Promise<Family> {
  const [parent, child, grandchild] = ['parent', 'child', 'grandchild'].map((name) => database.table(name))
  if (parent === undefined || child === undefined || grandchild === undefined) throw new Error('three tables')
  const owner = await database.session('owner')
  for (const statement of [
    sql`create table ${quoted(parent)} (id int primary key, old bool, gone bool)`,
    sql`create table ${quoted(child)} (id int primary key, parent_id int references ${quoted(parent)} on delete ${onDelete === 'cascade' ? sql`cascade` : sql`set null`})`,
    sql`create table ${quoted(grandchild)} (id int primary key, child_id int references ${quoted(child)} on delete cascade)`,
    sql`insert into ${quoted(parent)} select g, g % 2 = 0 from generate_series(1, 40) g`,
    sql`insert into ${quoted(child)} select g, g from generate_series(2, 40, 2) g`,
    sql`insert into ${quoted(grandchild)} select g, g from generate_series(2, 40, 2) g`,
  ])
    await owner.query(statement.text)
  return { parent, child, grandchild }
}

function switchOff(database: Database, table: TableName): Promise<unknown> {
  return database.admin(sql`alter table ${quoted(table)} disable trigger all`.text)
}

const BY_ID = { by: 'id', every: { kind: 'ids', ids: 100n }, keep: null, premake: 1 } as const
const COPIED = { transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const
const OFF = 'alter table child disable trigger all'
/** PostgreSQL's own triggers, too: `disable`, `enable replica`, `enable always`. */
const put = (table: TableName, state: string) => `do $do$ declare s text; begin
  for s in select format('alter table %s ${state} trigger %I', tgrelid::regclass, tgname) from pg_trigger where tgrelid = ${literal(quoted(table).text).text}::regclass
  loop execute s; end loop; end $do$`
const inPublic = (name: string) => ({ schema: 'public', name })

const SWAPS = {
  'a rebuild of the referenced table': {
    of: 'parent',
    states: `${OFF}; ${put(inPublic('parent'), 'enable replica')}`,
    command: (url: string, table: WrittenName) => rebuild(url, table, rebuildRequest(), quietly()),
  },
  'a rebuild of the referring table': {
    of: 'child',
    states: `${OFF}; ${put(inPublic('grandchild'), 'enable always')}`,
    command: (url: string, table: WrittenName) => rebuild(url, table, rebuildRequest(), quietly()),
  },
  'partitions of the referenced table': {
    of: 'parent',
    states: OFF,
    command: (url: string, table: WrittenName) => partition(url, table, monthly(BY_ID), quietly()),
  },
  'partitions of the referenced table, by copy': {
    of: 'parent',
    states: OFF,
    command: (url: string, table: WrittenName) =>
      partitionByCopy(url, table, { ...monthly(BY_ID), ...COPIED }, quietly()),
  },
} as const

/** PostgreSQL's own triggers that are not in their ordinary state, by what they look after. */
async function triggersOf(database: Database): Promise<unknown> {
  const { rows } = await database.admin(`
    select distinct k.conrelid::regclass::text as of, k.conname as name, p.proname as function, t.tgenabled as state
    from pg_trigger t join pg_constraint k on k.oid = t.tgconstraint join pg_proc p on p.oid = t.tgfoid
    where k.conparentid = 0 and t.tgenabled <> 'O' and k.conrelid::regclass::text in ('parent', 'child', 'grandchild') order by 1, 2, 3`)
  return rows
}

const DISABLED = { plan: { objections: [{ code: 'disabled-foreign-keys', acceptable: false }] } }

describe('a disabled foreign key', () => {
  test('prevents deleting referenced rows', async ({ database }) => {
    const { parent } = await family(database, 'set null')
    await switchOff(database, parent)
    await expect(purgeRows(database, parent, purgeRequest('old'))).rejects.toMatchObject(DISABLED)
    await expect(purgeRows(database, parent, purgeRequest('old', { cascade: true }))).rejects.toMatchObject(DISABLED)
    expect(await contentOf(database, parent)).toMatchObject({ rows: 40 })
  })

  test('prevents deleting at lower levels, and marking', async ({ database }) => {
    const { parent, child } = await family(database, 'cascade')
    await switchOff(database, child)
    await expect(purgeRows(database, parent, purgeRequest('old', { cascade: true }))).rejects.toMatchObject(DISABLED)
    const request = markRequest('true', 'marked', { allRows: true })
    await (await database.session('owner')).query(sql`alter table ${quoted(child)} add column marked bool`.text)
    await expect(mark(database.url, written(child), request, quietly())).rejects.toMatchObject(DISABLED)
  })

  test('on a table that is only read prevents nothing', async ({ database }) => {
    const { parent, child } = await family(database, 'cascade')
    await switchOff(database, child)
    await purgeRows(database, parent, purgeRequest('true', { allRows: true, protect: [written(child)] }))
    expect(await contentOf(database, parent)).toMatchObject({ rows: 20 })
  })

  test('during a purge ends the run, without dangling references', async ({ database }) => {
    for (const which of ['parent', 'child'] as const) {
      const tables = await family(database, 'cascade')
      let off: Promise<unknown> | undefined
      let batches = 0
      const turns = {
        turn: async () => {
          if (++batches === 3) await (off ??= switchOff(database, tables[which]))
          return { rows: 4 }
        },
      }
      await expect(
        purgeRows(database, tables.parent, purgeRequest('old', { cascade: true }), { turns }),
      ).rejects.toThrow(/switched off since the purge was planned/)
      const { rows } = await database.admin<{ children: number; orphans: number }>(sql`
        select (select count(*)::int from ${quoted(tables.child)}) as children,
          (select count(*)::int from ${quoted(tables.child)} c where not exists (select from ${quoted(tables.parent)} p where p.id = c.parent_id))
          + (select count(*)::int from ${quoted(tables.grandchild)} c where not exists (select from ${quoted(tables.child)} p where p.id = c.child_id)) as orphans`)
      expect(rows[0]?.children).toBeLessThan(20)
      expect(rows[0]).toMatchObject({ orphans: 0 })
      await database.admin(sql`alter table ${quoted(tables[which])} enable trigger all`.text)
      await purgeRows(database, tables.parent, purgeRequest('old', { cascade: true }), { turns: batchesOf(4) })
      expect(await contentOf(database, tables.child)).toMatchObject({ rows: 0 })
      await database.admin(
        sql`drop table ${quoted(tables.parent)}, ${quoted(tables.child)}, ${quoted(tables.grandchild)}; drop schema ebb cascade`
          .text,
      )
    }
  })

  test('prevents every swap by a role that could not switch it off again, before anything is done', async ({
    database,
    skip,
  }) => {
    if (process.env.EBB_TEST_ROLE === 'superuser') skip('a superuser carries it over')
    const { parent, child, grandchild } = await family(database, 'cascade')
    const codesOf = async (table: TableName) => {
      const plans = [
        await planRebuildOf(database.url, written(table), rebuildRequest(), quietly()),
        await planPartitionOf(database.url, written(table), monthly(BY_ID), quietly()),
        await planPartitionCopyOf(database.url, written(table), { ...monthly(BY_ID), ...COPIED }, quietly()),
      ]
      return plans.map(({ objections }) => objections.map(({ code }) => code.replace(/:.*/, '')))
    }
    const enableAll = (table: TableName) => sql`alter table ${quoted(table)} enable trigger all`.text
    // Its own keys, those of a table that refers to it, and a state that is no less than usual.
    for (const [on, state, table, code] of [
      [child, 'disable', child, 'disabled-foreign-keys'],
      [child, 'disable', parent, 'disabled-foreign-keys'],
      [parent, 'disable', parent, 'disabled-foreign-keys'],
      [child, 'enable replica', child, 'disabled-foreign-keys'],
      [child, 'enable always', child, 'always'],
      [grandchild, 'enable always', child, 'always'],
    ] as const) {
      await database.admin(put(on, state))
      const said = expect.arrayContaining([code]) as string[]
      expect({ [`${on.name} ${state}`]: await codesOf(table) }).toEqual({ [`${on.name} ${state}`]: [said, said, said] })
      await expect(rebuild(database.url, written(table), rebuildRequest(), quietly())).rejects.toMatchObject({
        kind: 'objections',
        advice: { state: 'Nothing has been changed.' },
      })
      await database.admin(enableAll(on))
    }

    await switchOff(database, child)
    const { objections } = await planRebuildOf(database.url, written(child), rebuildRequest(), quietly())
    const fix = /As a superuser, switch them on: (alter table .*? enable trigger all;)/.exec(
      objections[0]?.fix ?? '',
    )?.[1]
    await expect((await database.session('owner')).query(fix ?? '')).rejects.toThrow(/system trigger/)
    await database.admin(fix ?? '')
    await rebuild(database.url, written(child), rebuildRequest(), quietly())
  })

  test.for(Object.entries(SWAPS))(
    'is carried over by a superuser, and back: %s',
    async ([, { of, states, command }], { database }) => {
      const tables = await family(database, 'cascade')
      await database.admin(`${states}; insert into child values (99, 99)`)
      const before = await triggersOf(database)

      const { runId } = await command(database.adminUrl, written(tables[of]))
      expect(await triggersOf(database)).toEqual(before)
      await database.admin('insert into child values (98, 98)')
      await rollback(database.adminUrl, { runId }, quietly())
      expect(await triggersOf(database)).toEqual(before)
      await database.admin('insert into child values (97, 97)')
    },
  )

  test('on the table itself prevents partitioning, since new partitions would not have it', async ({ database }) => {
    const { child } = await family(database, 'cascade')
    await database.admin(OFF)
    const { objections } = await planPartitionOf(database.adminUrl, written(child), monthly(BY_ID), quietly())
    expect(objections).toMatchObject(DISABLED.plan.objections)
  })

  test('after a rebuild prevents a rollback', async ({ database }) => {
    const { parent, child } = await family(database, 'cascade')
    await rebuild(database.url, written(parent), rebuildRequest(), quietly())
    await switchOff(database, child)
    const plan = await planRollbackOf(database.url, { table: parent }, quietly())
    expect(plan.objections).toMatchObject([{ code: 'changed', what: expect.stringMatching(/child/) as string }])
  })
})

describe('a role with session_replication_role = replica', () => {
  async function asReplica(database: Database, ...more: string[]): Promise<string> {
    const role = await database.role('loader')
    await database.admin(`alter role ${ident(role).text} set session_replication_role = replica`)
    await database.admin(`grant ebb_owner to ${ident(role).text}`)
    for (const statement of more) await database.admin(`${statement} ${ident(role).text}`)
    return role
  }

  test('is rejected by every command, and its run is not resumed', async ({ database }) => {
    const { parent } = await family(database, 'set null')
    const url = database.urlFor(await asReplica(database))
    const request = purgeRequest('old', { cascade: true })
    const refused = { plan: { objections: [{ code: 'replication-role', acceptable: false }] } }
    await expect(purge(url, written(parent), request, quietly())).rejects.toMatchObject(refused)
    await expect(rebuild(url, written(parent), rebuildRequest(), quietly())).rejects.toMatchObject(refused)
    const stop = new AbortController()
    const turns = {
      turn: async () => {
        stop.abort()
        return Promise.resolve({ rows: 1 })
      },
    }
    await purgeRows(database, parent, request, { turns, signal: stop.signal }).catch(() => {})
    const { rows } = await contentOf(database, parent)
    await expect(resume(url, { table: parent }, quietly())).rejects.toMatchObject({
      message: expect.stringMatching(/run as a replica/) as string,
      kind: 'objections',
    })
    expect(await contentOf(database, parent)).toMatchObject({ rows })
  })

  test('that may change it runs with origin', async ({ database }) => {
    if (database.version < 150000) return
    const { parent, child } = await family(database, 'set null')
    const role = await asReplica(database, 'grant set on parameter session_replication_role to')
    const url = database.urlFor(role)
    await purge(url, written(parent), purgeRequest('old', { cascade: true }), quietly())
    expect(await contentOf(database, parent)).toMatchObject({ rows: 20 })
    await database.admin(`revoke set on parameter session_replication_role from ${ident(role).text}`)
    expect(await contentOf(database, child, 'parent_id is not null')).toMatchObject({ rows: 20 })
  })
})

test('without statistics of changes, triggers prevent deleting and marking', async ({ database }) => {
  const { parent } = await family(database, 'set null')
  const role = await database.role('uncounted')
  await database.admin(`alter role ${ident(role).text} set track_counts = off; grant ebb_owner to ${ident(role).text}`)
  const owner = await database.session('owner')
  await owner.query('create function f() returns trigger language plpgsql as $$ begin return null; end $$')
  await owner.query(
    sql`create trigger t after delete or update on ${quoted(parent)} for each row execute function f()`.text,
  )
  const url = database.urlFor(role)
  const refused = { plan: { objections: [{ code: 'track-counts' }] } }
  await expect(purge(url, written(parent), purgeRequest('old'), quietly())).rejects.toMatchObject(refused)
  const request = markRequest('old', 'gone')
  await expect(mark(url, written(parent), request, quietly())).rejects.toMatchObject(refused)
})

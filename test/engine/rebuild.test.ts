import pg from 'pg'
import { describe, expect, vi } from 'vitest'
import { readTable } from '../../src/catalog/table/read-table.ts'
import type { TableModel } from '../../src/catalog/table/table-model.ts'
import { withSession } from '../../src/db/session.ts'
import { withSharedSessions } from '../../src/db/shared-sessions.ts'
import { retire, rollback } from '../../src/engine/runs/runs.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import type { RebuildRequest } from '../../src/plan/copy/rebuild.ts'
import type { Event } from '../../src/events.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { quietly, written } from '../support/tool.ts'
import { rebuild } from '../support/commands.ts'

const ROWS = 5_000

describe('rebuild', () => {
  test.for(['copy', 'server'] as const)(
    'keeps all rows and dependent objects (transport %s)',
    async (transport, { database }) => {
      const { events } = await createEvents(database, { rows: ROWS, rowSecurity: true, publication: true })
      const before = await read(database, events)
      const content = await contents(database, events)

      await rebuild(database.url, written(events), request({ transport }), quietly())

      const after = await read(database, events)
      const ours = after.triggers.filter(({ name }) => name.startsWith('ebb_')).map(({ name }) => name)
      expect(after.oid).not.toBe(before.oid)
      expect(compareFacts(factsOf(before), factsOf(after, ours))).toEqual([])
      expect(await contents(database, events)).toEqual(content)
    },
  )

  test('a small table needs three sessions, and no second job', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    const connected = vi.spyOn(pg.Client.prototype, 'connect')
    await withSharedSessions(database.url, (target) =>
      rebuild(target, written(events), request({ transport: 'auto', jobs: 'auto' }), quietly()),
    )
    expect(connected).toHaveBeenCalledTimes(3)
    connected.mockRestore()
  })

  test('with auto both transports are used for chunks of a longer copy, and all rows are kept', async ({
    database,
  }) => {
    const { events } = await createEvents(database, { rows: 1_500 })
    const content = await contents(database, events)
    const owner = await database.session('owner')
    await owner.query(`
      create function public.slow(id bigint) returns boolean immutable language plpgsql as $$
      begin perform pg_sleep(0.002); return true; end $$`)

    const small = { copySizes: { chunkBlocks: 1, batchEntries: 5_000, shortLog: 500 } }
    const told: string[] = []
    const observer = (event: Event) => void (event.type === 'note' && told.push(event.text))
    const options = { ...quietly(small), observer }
    await rebuild(
      database.url,
      written(events),
      request({ transport: 'auto', keep: 'public.slow(id)', noArchive: true }),
      options,
    )

    const { rows } = await database.admin(`select distinct transport from ebb.chunk order by 1`)
    expect(rows).toEqual([{ transport: 'copy' }, { transport: 'server' }])
    expect(told).toContainEqual(expect.stringMatching(/times as fast here as the other/))
    expect(await contents(database, events)).toEqual(content)
  })

  test.for(['copy', 'server'] as const)(
    'while others are at work the first chunk is small, and each waits for the disk (transport %s)',
    async (transport, { database }) => {
      const owner = await database.session('owner')
      await owner.query(`
        create table readings (id int primary key, note text not null);
        insert into readings select n, repeat('.', 1000) from generate_series(1, 1000) n`)
      const app = await database.session('app')
      const working = setInterval(() => void app.query('select 1'), 50)
      const queries = vi.spyOn(pg.Client.prototype, 'query')

      await rebuild(database.url, written(database.table('readings')), request({ transport }), quietly())

      clearInterval(working)
      const asked = queries.mock.calls.map(([text]) => text as unknown)
      queries.mockRestore()
      const { rows: chunks } = await database.admin<{ size: number }>(
        `select ("end" - first)::int as size from ebb.chunk order by first`,
      )
      expect(chunks[0]).toEqual({ size: 32 })
      expect(asked.filter((text) => text === 'set local synchronous_commit = local')).toHaveLength(chunks.length)
    },
  )

  test('reports the copy rate in rows per second', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const told: Event[] = []
    await rebuild(database.url, written(events), request(), {
      ...quietly(),
      observer: (event) => void told.push(event),
    })
    const copying = told.flatMap((event) => (event.type === 'progress' ? [event.progress] : []))
    expect(copying.find(({ unit }) => unit === 'blocks')?.rowsPerSecond).toBeGreaterThan(100)
  })

  test('keeps only the requested rows, as of the start', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const owner = await database.session('owner')
    const { rows } = await owner.query<{ n: string }>(
      sql`select count(*) as n from ${quoted(events)} where created_at > now() - interval '90 days'`,
    )

    await rebuild(
      database.url,
      written(events),
      request({ keep: `created_at > now() - interval '90 days'`, noArchive: true }),
      quietly(),
    )

    expect((await owner.query(sql`select count(*) as n from ${quoted(events)}`)).rows).toEqual(rows)
  })
})

function request(overrides: Partial<RebuildRequest> = {}): RebuildRequest {
  return { keep: null, transport: 'server', jobs: 1, noArchive: false, retireAfter: null, ...overrides }
}

async function read(database: Database, table: TableName): Promise<TableModel> {
  const model = await withSession(database.url, 'look', (session) => readTable(session, table, database.version))
  if (model === undefined) throw new Error('the table is gone')
  return model
}

async function contents(database: Database, table: TableName): Promise<unknown> {
  const { rows } = await database.admin(
    sql`select count(*), sum(hash_record_extended(t, 0))::text as hash from ${quoted(table)} t`,
  )
  return rows[0]
}

describe('after a rebuild', () => {
  test('the retired table is restored with all writes since', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS, rowSecurity: true, publication: true })
    const before = await read(database, events)
    const app = await database.session('app')
    const { runId } = await rebuild(
      database.url,
      written(events),
      request({ keep: 'id > 1000', noArchive: true }),
      quietly(),
    )
    await app.query(sql`insert into ${quoted(events)} (user_id, kind) values (1, 'since')`)
    await app.query(sql`update ${quoted(events)} set kind = 'changed' where id = 2000`)
    await app.query(sql`delete from ${quoted(events)} where id in (3001, 3002)`)

    await rollback(database.url, { runId }, quietly())

    const after = await read(database, events)
    expect(after.oid).toBe(before.oid)
    expect(compareFacts(factsOf(before), factsOf(after))).toEqual([])
    const { rows } = await app.query(sql`
      select count(*)::int as n, count(*) filter (where kind = 'changed')::int as changed, count(*) filter (where kind = 'since')::int as since from ${quoted(events)}`)
    expect(rows).toEqual([{ n: ROWS + 1 - 2, changed: 1, since: 1 }])
    expect(await leftovers(database)).toEqual([])
  })

  test('the retired table is dropped when it is retired', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const { runId } = await rebuild(database.url, written(events), request(), quietly())

    await retire(database.url, { runId }, quietly())

    expect(await leftovers(database)).toEqual([])
    await expect(rollback(database.url, { runId }, quietly())).rejects.toThrow(/has been dropped/)
  })
})

/** Tables and triggers of ours that are no part of the journal. */
async function leftovers(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(`
    select relname as name from pg_class where relname ~ '_retired|_ebb|^ebb_.*(log|capture)' and relkind in ('r', 'i')
    union all select tgname from pg_trigger where tgname like 'ebb%' union all select proname from pg_proc where proname like 'ebb%'`)
  return rows.map(({ name }) => name)
}

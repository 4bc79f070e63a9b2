import { readdir, readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import type { Store } from '../../src/archive/store.ts'
import { archiveRows, type ArchiveOrder } from '../../src/engine/archive/archive-rows.ts'
import { status } from '../../src/engine/runs/runs.ts'
import { describeStatus } from '../../src/report/status.ts'
import { removeLeftovers } from '../../src/engine/archive/leftovers.ts'
import { unfinishedArchives } from '../../src/journal/archives.ts'
import type { RowsToArchive } from '../../src/plan/archive/rows.ts'
import type { Happening } from '../../src/events.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { archivedRows, archiveFolder, archiveTo, storeWith, working } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { quietly } from '../support/tool.ts'

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

async function createEvents(database: Database, rows: number): Promise<TableName> {
  const table = database.table('events')
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(table)} (id int, at timestamptz not null default '2026-01-01 00:00:00+02',
    note text collate "C" check (note <> 'no'), twice int generated always as (id * 2) stored, primary key (id))`)
  await session.query(sql`insert into ${quoted(table)} (id, note) select n, case n % 3 when 0 then null when 1 then '' else E'a\n"b",' end
    from generate_series(1, ${rows}::int) n`)
  return table
}

async function rowsOf(database: Database, table: TableName, chosen: string | null = null): Promise<RowsToArchive> {
  const { rows } = await database.admin<{ oid: string }>(sql`select ${quoted(table).text}::regclass::oid::text as oid`)
  return { table, oid: rows[0]!.oid, partitionOf: null, chosen, where: chosen, horizon: null, estimatedRows: null }
}

function order(store: Store, rows: RowsToArchive, changes: Partial<ArchiveOrder> = {}): ArchiveOrder {
  const nobody = { runId: null, approvedBy: null, ticket: null }
  return {
    store,
    to: archiveTo(store.uri),
    command: 'archive',
    ...nobody,
    rows: [rows],
    settings: {},
    seal: null,
    ...changes,
  }
}

/** As it is. */
const plain = () => storeWith(folder.uri, () => ({}))

describe('an archive of all rows', () => {
  test('has a receipt that says what is in it, and the journal knows it', async ({ database }) => {
    const table = await createEvents(database, 10_000)
    const rows = await rowsOf(database, table)
    const store = await plain()
    const to = archiveTo(store.uri, { partBytes: 50_000 })
    const { id, entry, receipt } = await working(database, table, (context) =>
      archiveRows(context, order(store, rows, { to })),
    )

    const [told] = receipt.tables
    expect(told).toMatchObject({ ...table, oid: rows.oid, where: null, rows: 10_000 })
    expect(told!.objects.length).toBeGreaterThan(3)
    expect(told!.key).toEqual({ columns: ['id'], first: ['1'], last: ['10000'] })
    expect(told!.columns.map(({ name, number, generated }) => [name, number, generated])).toEqual([
      ['id', 1, false],
      ['at', 2, false],
      ['note', 3, false],
      ['twice', 4, true],
    ])
    expect(receipt.encoding.settings).toMatchObject({ TimeZone: 'UTC', DateStyle: 'ISO, MDY', extra_float_digits: '1' })
    expect(JSON.parse(await readFile(join(folder.path, id, 'receipt.json'), 'utf8'))).toMatchObject(receipt)
    const { rows: known } = await database.admin('select id, receipt_uri, receipt_sha256, rows, store from ebb.archive')
    expect(known).toEqual([
      { id, receipt_uri: entry.uri, receipt_sha256: entry.sha256, rows: '10000', store: folder.uri },
    ])

    // The statements of the receipt make a table that takes the rows and gives the same text again.
    const session = await database.session('restore')
    await session.query(sql`alter table ${quoted(table)} rename to former`)
    await session.query(sql`alter index ${quoted({ ...table, name: `${table.name}_pkey` })} rename to former_pkey`)
    for (const statement of told!.ddl) await session.query(statement)
    const { rows: columns } = await session.query<{ definition: string }>(
      sql`select pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = ${quoted(table).text}::regclass and contype in ('p', 'c') order by 1`,
    )
    expect(columns.map(({ definition }) => definition)).toEqual([`CHECK ((note <> 'no'::text))`, 'PRIMARY KEY (id)'])
  })

  test('is as one snapshot has it, for all tables together', async ({ database }) => {
    const table = await createEvents(database, 3)
    const second = database.table('second')
    const session = await database.session('application')
    await session.query(sql`create table ${quoted(second)} (id int)`)
    await session.query(sql`insert into ${quoted(second)} values (1)`)
    let puts = 0
    const store = await storeWith(folder.uri, (real) => ({
      async put(name, content, options) {
        // While the first table is written, rows come and go.
        if (puts++ === 0) {
          await session.query(sql`insert into ${quoted(second)} values (2)`)
          await session.query(sql`delete from ${quoted(second)} where id = 1`)
        }
        return real.put(name, content, options)
      },
    }))
    const rows = [await rowsOf(database, table), await rowsOf(database, second)] as const
    const { receipt } = await working(database, table, (context) =>
      archiveRows(context, { ...order(store, rows[0]), rows }),
    )
    expect(await archivedRows(folder.path, receipt, 1)).toEqual(['1'])
  })
})

test('rows are selected under the settings of the condition, which the receipt has', async ({ database }) => {
  const table = await createEvents(database, 2)
  // Midnight of that day in Berlin is an hour before it in UTC.
  const rows = await rowsOf(database, table, `where (at::date = '2026-01-01')`)
  const settings = { search_path: 'public', TimeZone: 'America/New_York' }
  const store = await plain()
  const archive = (changes: Partial<ArchiveOrder>) =>
    working(database, table, (context) => archiveRows(context, order(store, rows, changes)))
  expect((await archive({ settings })).receipt.tables[0]!.rows).toBe(0)
  const there = await archive({ settings: { ...settings, TimeZone: 'Europe/Athens' } })
  expect(there.receipt.tables[0]!.rows).toBe(2)
  expect(there.receipt.encoding.settings.TimeZone).toBe('Europe/Athens')
  expect((await archivedRows(folder.path, there.receipt))[0]).toContain('2026-01-01 00:00:00+02')
  // The types of columns are qualified all the same.
  expect(there.receipt.tables[0]!.ddl[0]).toContain(quoted(table).text)
})

describe('a failure leaves no receipt, and what is left over goes with the next run', () => {
  async function failing(database: Database, changes: (real: Store) => Partial<Store>, rowCount = 2000) {
    const table = await createEvents(database, rowCount)
    const rows = await rowsOf(database, table)
    const store = await storeWith(folder.uri, changes)
    const to = archiveTo(store.uri, { partBytes: 20_000, compression: 'none' })
    const error = await working(database, table, async (context) => {
      const failed = await archiveRows(context, order(store, rows, { to })).catch((reason: unknown) => reason)
      // The session is usable: its transaction has ended.
      const { rows: state } = await context.session.query(
        `select count(*)::int as left from ebb.archive where receipt_uri is null`,
      )
      expect(state).toEqual([{ left: 1 }])
      return failed
    })
    expect(await database.admin('select from ebb.archive where receipt_uri is not null')).toMatchObject({ rowCount: 0 })
    const events: Happening[] = []
    await working(database, table, (context) => removeLeftovers(context, 'archive'), { events })
    const left: string[] = []
    for await (const { name } of (await plain()).list('')) left.push(name)
    expect(left).toEqual([])
    expect((await database.admin('select from ebb.archive')).rowCount).toBe(0)
    expect(events).toContainEqual({
      type: 'note',
      text: expect.stringContaining('removed what the interrupted') as string,
      table,
      runId: null,
    })
    return error
  }

  test('of the store, at the second object', async ({ database }) => {
    let puts = 0
    const error = await failing(database, (real) => ({
      put: (name, content, options) => {
        if (++puts < 2) return real.put(name, content, options)
        content.destroy()
        return Promise.reject(new Error('the store is down'))
      },
    }))
    expect(error).toEqual(new Error('the store is down'))
  })

  test('of an object that is damaged where it is stored', async ({ database }) => {
    const error = await failing(database, (real) => ({
      async get(name) {
        const whole = await real.get(name)
        const bytes = Buffer.concat(await whole.toArray())
        bytes[bytes.length - 2] = (bytes.at(-2) ?? 0) ^ 1
        return Readable.from([bytes])
      },
    }))
    expect(String(error)).toMatch(/is not what was archived/)
  })

  test('of an object that is cut, or missing', async ({ database }) => {
    const error = await failing(database, (real) => ({
      get: async (name) => Readable.from([Buffer.concat(await (await real.get(name)).toArray()).subarray(0, 100)]),
    }))
    expect(String(error)).toMatch(/is not what was archived/)
  })
})

test('the rest of a large table is not read when the store has failed', async ({ database }) => {
  const table = await createEvents(database, 10)
  await database.admin(
    sql`insert into ${quoted(table)} (id, note) select n, repeat('x', 2000) from generate_series(11, 60000) n`,
  )
  const rows = await rowsOf(database, table)
  const store = await storeWith(folder.uri, () => ({
    put: (_, content) => {
      content.destroy()
      return Promise.reject(new Error('the store is down'))
    },
  }))
  await working(database, table, async (context) => {
    const began = performance.now()
    // Each row takes a while: all of them would take minutes.
    const slow = { ...rows, chosen: `where (pg_catalog.pg_sleep(0.005) is not null)` }
    await expect(archiveRows(context, order(store, slow))).rejects.toThrow('the store is down')
    expect(performance.now() - began).toBeLessThan(20_000)
  })
})

test('a slow store does not let the snapshot time out', async ({ database }) => {
  const table = await createEvents(database, 10)
  const rows = await rowsOf(database, table)
  const store = await storeWith(folder.uri, (real) => ({
    async put(name, content, options) {
      await real.put(name, content, options)
      await sleep(600)
    },
  }))
  await working(database, table, async (context) => {
    await context.session.query(`set idle_in_transaction_session_timeout = '200ms'`)
    expect((await archiveRows(context, order(store, rows))).receipt.tables[0]!.rows).toBe(10)
  })
})

test('a stop is obeyed while the store is waited for', async ({ database }) => {
  const table = await createEvents(database, 100_000)
  const rows = await rowsOf(database, table)
  const stop = new AbortController()
  // It takes nothing, so PostgreSQL waits for its output to be read.
  const store = await storeWith(folder.uri, () => ({
    put: (_name, content, { signal }) =>
      new Promise((_resolve, reject) => {
        setTimeout(() => stop.abort(), 300)
        signal.addEventListener('abort', () => {
          content.destroy()
          reject(signal.reason as Error)
        })
      }),
  }))
  const archiving = working(database, table, (context) => archiveRows(context, order(store, rows)), {
    signal: stop.signal,
  })
  await expect(archiving).rejects.toThrow()
  const { archives } = await status(database.url, quietly())
  expect(archives).toMatchObject([{ command: 'archive', table, store: folder.uri, hasReceipt: false }])
  const lines = describeStatus(
    { runs: [], sets: [], holds: [], detached: [], leftovers: [], archives },
    [],
    'ebb',
  ).join('\n')
  expect(lines).toMatch(/without a receipt .* finished by the next ebb archive of/)
})

test('a receipt that the journal was not told of is found by the next run, and nothing unfinished stays beside it', async ({
  database,
}) => {
  const table = await createEvents(database, 10)
  const rows = await rowsOf(database, table)
  const store = await plain()
  const { id, entry } = await working(database, table, async (context) => {
    const archived = await archiveRows(context, order(store, rows))
    await context.session.query(
      `update ebb.archive set receipt_uri = null, receipt_sha256 = null, rows = null, bytes = null`,
    )
    expect(await unfinishedArchives(context.session, 'ebb', table, 'archive')).toHaveLength(1)
    // Of a process that was killed when it had given the receipt its name.
    await writeFile(join(folder.path, archived.id, '.ebb-unfinished-1'), '')
    await removeLeftovers(context, 'archive')
    return archived
  })
  expect((await readdir(join(folder.path, id))).sort()).toEqual(['public.events-00001.csv.gz', 'receipt.json'])
  const { rows: known } = await database.admin('select id, receipt_uri, receipt_sha256, rows from ebb.archive')
  expect(known).toEqual([{ id, receipt_uri: entry.uri, receipt_sha256: entry.sha256, rows: '10' }])
  expect(await readFile(join(folder.path, id, 'receipt.json'), 'utf8')).toContain(id)
})

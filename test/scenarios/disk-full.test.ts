import { describe, expect } from 'vitest'
import { abandon, resume, status } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { startTool, type Errand } from '../support/process.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { once, OWNER } from '../support/template.ts'
import { monthly, persevere, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { partition, planRebuildOf, rebuild, writeCandidates } from '../support/commands.ts'

// The server's disk fills up while a copy is under way: a clear stop, and a way on as well as a way back.

const SIZES = { copySizes: { chunkBlocks: 32, batchEntries: 100, shortLog: 10 } }

describe('a disk that fills up', () => {
  test.for(['copy', 'server'] as const)(
    'stops the copy (%s), which continues when there is space',
    async (transport, { ownServer, skip }) => {
      const { server, database } = await ownServer()
      const disk = SmallDisk.mount(14, server.dataFolder, skip)
      try {
        const { table, rows } = await filled(database, disk)
        const again = () => rebuild(database.url, written(table), rebuildRequest({ transport }), quietly(SIZES))
        await expect(again()).rejects.toMatchObject({
          message: expect.stringMatching(/^copy about .*: could not extend file .*No space left on device/) as string,
          kind: 'failed',
          advice: {
            state: 'The space the run had used has been freed; the table is as it was before.',
            next: expect.stringMatching(/^Free disk space .* run the same command again/) as string,
          },
        })
        expect(await rowsOf(database, table)).toEqual(rows)
        // More than there would be room for beside what the copy had taken.
        await write(database, table, 1_000)
        expect(await leftOf(database)).toEqual([])

        disk.grow(64)
        await again()
        expect(await rowsOf(database, table)).toHaveLength(rows.length + 1_000)
      } finally {
        disk.unmount()
      }
    },
  )

  test('stops the copy, and abandoning it frees its space', async ({ ownServer, skip }) => {
    const { server, database } = await ownServer()
    const disk = SmallDisk.mount(14, server.dataFolder, skip)
    try {
      const { table, rows } = await filled(database, disk)
      await expect(rebuild(database.url, written(table), rebuildRequest(), quietly(SIZES))).rejects.toThrow(
        /No space left/,
      )
      await abandon(database.url, { table }, quietly())
      expect((await status(database.url, quietly())).runs).toMatchObject([{ status: 'abandoned' }])
      expect(await rowsOf(database, table)).toEqual(rows)
      // As much room as before: what is written now did not fit.
      await database.admin(
        sql`create table more tablespace small as select n, repeat('x', 1000) from generate_series(1, 4000) n`,
      )
    } finally {
      disk.unmount()
    }
  })
})

describe('a full disk', () => {
  test('with a run killed while it frees space costs nothing', async ({ ownServer, skip }) => {
    const { server, database } = await ownServer()
    const disk = SmallDisk.mount(14, server.dataFolder, skip)
    try {
      const { table, rows } = await filled(database, disk)
      // In nobody's way, but what catches changes cannot be taken off the table.
      const reader = await database.session('reader')
      await reader.query(sql`begin; select from ${quoted(table)} limit 1`.text)
      const errand: Errand = { command: 'rebuild', url: database.url, table, rebuild: rebuildRequest(), options: SIZES }
      const tool = startTool(errand)
      await until(() => shadowHasGone(database), { what: 'the new table to be dropped' })
      await write(database, table, 1_000)
      tool.signal('SIGKILL')
      await tool.end()
      expect(await leftOf(database)).not.toEqual([])

      await reader.query('commit')
      disk.grow(64)
      await persevere(() => resume(database.url, { table }, quietly(SIZES)))
      expect(await rowsOf(database, table)).toHaveLength(rows.length + 1_000)
    } finally {
      disk.unmount()
    }
  })

  test('of temporary files alone, which the server frees itself, keeps the copy', async ({ ownServer, skip }) => {
    const { server, database } = await ownServer({ maintenance_work_mem: '1MB' })
    const disk = SmallDisk.mount(100, server.dataFolder, skip)
    const scratch = SmallDisk.mount(2, server.dataFolder, skip)
    try {
      const { table, rows } = await filled(database, disk)
      // Not compressed in the index, so that sorting it takes more than memory.
      await database.admin(`alter table ${quoted(table).text} alter filler set storage external`)
      await database.admin(`create index on ${quoted(table).text} (filler, id)`)
      await database.admin(`create tablespace scratch location ${literal(scratch.folder).text}`)
      await database.admin(`grant create on tablespace scratch to ${ident(OWNER).text}`)
      await database.admin(`alter database ${ident(database.name).text} set temp_tablespaces = scratch`)
      const again = () => rebuild(database.url, written(table), rebuildRequest(), quietly(SIZES))
      await expect(again()).rejects.toMatchObject({
        message: expect.stringMatching(/pgsql_tmp.*No space left on device/) as string,
        advice: { state: expect.stringMatching(/the steps before it are kept/) as string },
      })
      const { runs } = await status(database.url, quietly())
      expect(runs[0]?.stepsDone).toBeGreaterThan(3)

      scratch.grow(64)
      const { steps } = await again()
      expect(steps.map(({ key }) => key)).not.toContain('copy')
      expect(await rowsOf(database, table)).toEqual(rows)
    } finally {
      scratch.unmount()
      disk.unmount()
    }
  })

  test('keeps nothing of an index that could not be built', async ({ ownServer, skip }) => {
    const { server, database } = await ownServer()
    const disk = SmallDisk.mount(14, server.dataFolder, skip)
    try {
      const { table } = await filled(database, disk)
      const owner = await database.session('owner')
      await owner.query(sql`alter table ${quoted(table)} add at timestamptz not null default '2026-01-01'`.text)
      await owner.query(sql`alter index ${ident(table.schema, 'filling_pkey')} set tablespace small`.text)
      await database.admin(
        `create table public.spare tablespace small as select repeat('x', 1000) from generate_series(1, 100)`,
      )
      await useUp(database)
      await database.admin('drop table public.spare')
      await expect(partition(database.url, written(table), monthly({ by: 'at' }), quietly())).rejects.toThrow(
        /No space left on device/,
      )
      const { rows } = await database.admin(`select from pg_index where not indisvalid`)
      expect(rows).toEqual([])
    } finally {
      disk.unmount()
    }
  })

  test('keeps nothing of a candidate set that did not fit', async ({ ownServer, skip }) => {
    const { server, database } = await ownServer()
    const disk = SmallDisk.mount(40, server.dataFolder, skip)
    try {
      const table = database.table('many')
      const owner = await database.session('owner')
      await owner.query(sql`create table ${quoted(table)} as select generate_series(1, 60000) as id`)
      await owner.query(sql`alter table ${quoted(table)} add primary key (id)`.text)
      await owner.end()
      await elsewhere(server.url, database.name, disk)
      await writeCandidates(database.url, written(table), { where: 'id = 1' }, quietly())
      // Room for some keys, and not for all.
      await database.admin(`create table public.spare as select repeat('x', 1000) from generate_series(1, 1000)`)
      await useUp(database, '')
      await database.admin('drop table public.spare')

      const words = { where: 'id > 1' }
      await expect(writeCandidates(database.url, written(table), words, quietly())).rejects.toMatchObject({
        message: expect.stringMatching(/No space left on device/) as string,
        advice: { state: 'The space the run had used has been freed; the table is as it was before.' },
      })
      const left = await database.admin(`select from pg_class where relname ~ '^candidates_' and relkind = 'r'`)
      expect(left.rowCount).toBe(1)

      disk.grow(200)
      const { set } = await writeCandidates(database.url, written(table), words, quietly())
      expect(Number(set?.rows)).toBe(59_999)
    } finally {
      disk.unmount()
    }
  })
})

test('a copy known not to fit is not started', async ({ database }) => {
  const table = database.table('wide')
  const owner = await database.session('owner')
  await owner.query(sql`create table ${quoted(table)} (id int primary key, filler text)`)
  await owner.query(sql`insert into ${quoted(table)} select n, repeat('x', 1000) from generate_series(1, 1000) n`)
  await owner.query(sql`analyze ${quoted(table)}`.text)
  const planned = async (keep: string | null, diskFree: number) => {
    const { objections, steps } = await planRebuildOf(
      database.url,
      written(table),
      rebuildRequest({ keep }),
      quietly({ diskFree }),
    )
    return { codes: objections.map(({ code }) => code), steps: steps.length > 0 }
  }

  expect(await planned(null, 1_000_000)).toEqual({ codes: ['disk'], steps: false })
  expect(await planned(null, 2_000_000)).toEqual({ codes: [], steps: true })
  expect(await planned('id <= 100', 1_000_000)).toEqual({ codes: [], steps: true })
})

/** A table on the disk, which has no room for another one like it. */
async function filled(database: Database, disk: SmallDisk) {
  await database.admin(`create tablespace small location ${literal(disk.folder).text}`)
  await database.admin(`grant create on tablespace small to ${ident(OWNER).text}`)
  const table = database.table('filling')
  const owner = await database.session('owner')
  await owner.query(sql`create table ${quoted(table)} (id int, filler text) tablespace small`)
  await owner.query(sql`insert into ${quoted(table)} select n, repeat('x', 1000) from generate_series(1, 8000) n`)
  await owner.query(sql`alter table ${quoted(table)} add primary key (id)`.text)
  await owner.query(sql`delete from ${quoted(table)} where id = 1`)
  await owner.query(sql`vacuum ${quoted(table)}`.text)
  return { table, rows: await rowsOf(database, table) }
}

async function write(database: Database, table: TableName, rows: number): Promise<void> {
  const app = await database.session('app')
  await app.query(
    sql`insert into ${quoted(table)} (id, filler) select 100000 + n, repeat('x', 1000) from generate_series(1, ${raw(String(rows))}) n`,
  )
}

/** What a run puts beside a table, and on it. */
async function leftOf(database: Database): Promise<unknown[]> {
  const { rows } = await database.admin(`
    select relname as name from pg_class where relname ~ '^ebb_' or relname = 'filling_new'
    union all select proname from pg_proc where proname ~ '^ebb_' union all select tgname from pg_trigger where tgname ~ '^ebb_'`)
  return rows
}

/** It had been made, and no longer exists, though its run is unfinished. */
async function shadowHasGone(database: Database): Promise<boolean> {
  const { rows } = await database
    .admin<{ gone: boolean }>(
      `select to_regclass(format('%I.%I', plan #>> '{rebuild,shadow,schema}', plan #>> '{rebuild,shadow,name}')) is null as gone
       from ebb.run where exists (select from ebb.step where key = 'capture')`,
    )
    .catch(() => ({ rows: [] }))
  return rows[0]?.gone ?? false
}

/** Leaves no room on the disk at all. */
async function useUp(database: Database, where = 'tablespace small'): Promise<void> {
  await database.admin(`create table public.more (x text) ${where}`)
  for (const rows of [2_000, 200, 20])
    while (
      await database.admin(`insert into public.more select repeat('x', 1000) from generate_series(1, ${rows})`).then(
        () => true,
        () => false,
      )
    );
}

/** Moves a database to the disk, with all that has no place of its own. */
async function elsewhere(serverUrl: string, name: string, disk: SmallDisk): Promise<void> {
  await once(serverUrl, (client) => client.query(`create tablespace small location ${literal(disk.folder).text}`))
  await once(serverUrl, (client) => client.query(`alter database ${ident(name).text} set tablespace small`))
}

async function rowsOf(database: Database, table: TableName): Promise<unknown[]> {
  return (await database.admin(sql`select id from ${quoted(table)} order by id`)).rows
}

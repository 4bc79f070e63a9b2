import { describe, expect } from 'vitest'
import { planRebuildOf, rebuild } from '../../src/engine/rebuild.ts'
import { abandon, status } from '../../src/engine/runs.ts'
import { EXIT } from '../../src/errors.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { OWNER } from '../support/template.ts'
import { quietly, written } from '../support/tool.ts'

// The server's disk fills up while a copy is under way: a clear stop, and a way on as well as a way back.

const SIZES = { copySizes: { chunkBlocks: 32, batchEntries: 100, shortLog: 10 } }

describe('a disk that fills up', () => {
  test.for(['copy', 'server'] as const)(
    'stops the copy (%s), which goes on when there is room',
    async (transport, { ownServer, skip }) => {
      const { server, database } = await ownServer()
      const disk = SmallDisk.mount(14, server.dataFolder, skip)
      try {
        const { table, rows } = await filled(database, disk)
        const again = () => rebuild(database.url, written(table), rebuildRequest({ transport }), quietly(SIZES))
        await expect(again()).rejects.toMatchObject({
          message: expect.stringMatching(/^copy about .*: could not extend file .*No space left on device/) as string,
          exitCode: EXIT.failed,
          advice: { next: expect.stringMatching(/^Make room .* run the same command again/) as string },
        })
        expect(await rowsOf(database, table)).toEqual(rows)
        await write(database, table)

        disk.grow(64)
        await again()
        expect(await rowsOf(database, table)).toEqual([...rows, { id: 100_000 }])
      } finally {
        disk.unmount()
      }
    },
  )

  test('stops the copy, and abandoning it gives back what it took', async ({ ownServer, skip }) => {
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

test('a copy that would not fit, as somebody knows, is not started', async ({ database }) => {
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

/** What needs no room: there is some where a row has been. */
async function write(database: Database, table: TableName): Promise<void> {
  const app = await database.session('app')
  await app.query(sql`insert into ${quoted(table)} (id, filler) values (100000, 'late')`)
}

async function rowsOf(database: Database, table: TableName): Promise<unknown[]> {
  return (await database.admin(sql`select id from ${quoted(table)} order by id`)).rows
}

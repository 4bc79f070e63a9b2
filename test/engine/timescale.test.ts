import { afterAll, beforeAll, describe, expect } from 'vitest'
import { inspect } from '../../src/engine/commands/inspect.ts'
import { advise } from '../../src/engine/commands/advise.ts'
import type { TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import { mark, planPartitionOf, planRebuildOf, planSplitOf, writeCandidates } from '../support/commands.ts'
import { Database, test as plain } from '../support/database.ts'
import { unable } from '../support/programs.ts'
import { candidatesOf, contentOf, expectPurged, markRequest, purgeRequest, purgeRows } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { restoreFrom } from '../support/restoring.ts'
import { clearGround, OWNER, prepareGround, type Ground } from '../support/template.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { planOf } from './rotate-support.ts'
import { splitOrder } from './split-support.ts'

// On a real TimescaleDB: a server that preloads it, by EBB_TEST_TIMESCALE_URL (a superuser's). Chunks are counted by SQL of its own.

const URL = process.env.EBB_TEST_TIMESCALE_URL

const test = plain.extend<{ hypertables: Hypertables }>({
  hypertables: async ({ skip }, use) => {
    if (!URL) unable('needs TimescaleDB: EBB_TEST_TIMESCALE_URL', skip, 'EBB_TEST_REQUIRE_MORE')
    const database = await Database.create(ground)
    await database.admin('create extension timescaledb')
    await use({ database, table: await readings(database) })
    await database.close()
    await database.drop()
  },
})

interface Hypertables {
  readonly database: Database
  readonly table: TableName
}

let ground: Ground

beforeAll(async () => {
  if (URL) ground = await prepareGround(URL)
})

afterAll(async () => {
  if (URL) await clearGround(ground)
})

const ROWS = 1440

/** A hypertable of ten days in chunks of one, of 20 devices. */
async function readings(database: Database): Promise<TableName> {
  const owner = await database.session('setup')
  await owner.query(`create table readings (id bigint, at timestamptz, device int, value float, deleted_at timestamptz, primary key (id, at));
    select create_hypertable('readings', by_range('at', interval '1 day'));
    insert into readings select n, now() - n * interval '10 minutes', n % 20, n / 7.0 from generate_series(1, ${ROWS}) n;
    analyze readings`)
  return { schema: 'public', name: 'readings' }
}

async function oldestChunk(database: Database): Promise<TableName> {
  const { rows } = await database.admin<{ schema: string; name: string }>(
    `select chunk_schema as schema, chunk_name as name from timescaledb_information.chunks order by range_start limit 1`,
  )
  return rows[0]!
}

describe('a hypertable of TimescaleDB', () => {
  test.for([
    `at < now() - interval '7 days'`,
    `at < '2020-01-01' or device = 3`,
    `at between now() - interval '5 days' and now() - interval '2 days' and device in (1, 2)`,
  ])('is purged of exactly the rows where %s', async (where, { hypertables: { database, table } }) => {
    await expectPurged(database, table, purgeRequest(where, { vacuum: true }))
  })

  test('of which no row matches is left alone, and not by mistake', async ({ hypertables: { database, table } }) => {
    const { runId, plan } = await purgeRows(database, table, purgeRequest(`at < now() - interval '1 year'`))
    expect([runId, plan.evidence]).toEqual([null, ['no row matches']])
    expect((await contentOf(database, table)).rows).toBe(ROWS)
  })

  test('has no archive of its own, but each chunk has', async ({ hypertables: { database, table } }) => {
    const folder = await archiveFolder()
    const archived = purgeRequest('device < 10', { noArchive: false, archive: archiveTo(folder.uri) })
    await expect(purgeRows(database, table, archived)).rejects.toThrow(/in tables that inherit from public.readings/)
    const before = await contentOf(database, table)

    const chunk = await oldestChunk(database)
    await database.admin(sql`grant create on schema _timescaledb_internal to ${ident(OWNER)}`.text)
    const { archive } = await expectPurged(database, chunk, archived)
    await restoreFrom({ receipt: archive?.uri ?? '' }, database.url)
    expect(await contentOf(database, table)).toEqual(before)
    await folder.close()
  })

  test('is marked, and purged of what is marked; of a candidate set, too', async ({
    hypertables: { database, table },
  }) => {
    const { figures } = await mark(database.url, written(table), markRequest('device = 4', 'deleted_at'), quietly())
    expect(figures?.rows).toBe(ROWS / 20)
    await expectPurged(database, table, purgeRequest('deleted_at is not null'))

    const { runId, set } = await writeCandidates(database.url, written(table), { where: 'device = 5' }, quietly())
    expect(set?.rows).toBe(ROWS / 20)
    await database.admin('update readings set value = -1 where id = 5')
    const purged = await purgeRows(database, table, purgeRequest(candidatesOf(runId)))
    expect(purged.figures?.rows).toBe(ROWS / 20 - 1)
    expect((await database.admin('select id::int from readings where device = 5')).rows).toEqual([{ id: 5 }])
  })

  test('and its chunks become nothing else: refused, with the ways of TimescaleDB', async ({
    hypertables: { database, table },
  }) => {
    for (const one of [table, await oldestChunk(database)]) {
      const name = written(one)
      const plans = [
        await planPartitionOf(database.url, name, monthly({ by: 'at', keep: null }), quietly()),
        await planRebuildOf(database.url, name, rebuildRequest(), quietly()),
        await planSplitOf(database.url, name, splitOrder(), quietly()),
        await planOf(database, one),
      ]
      for (const { objections } of plans)
        expect(objections).toMatchObject([
          { code: 'managed:TimescaleDB', fix: expect.stringContaining(`drop_chunks('public.readings'`) as string },
        ])
      await expect(advise(database.url, name, { keep: null, olderThan: null }, quietly())).rejects.toThrow(
        /TimescaleDB/,
      )
      expect((await inspect(database.url, name, quietly())).managers).toMatchObject([{ by: 'TimescaleDB' }])
    }
    // The way that the objection names.
    const owner = await database.session('owner')
    const { rows } = await owner.query(sql`select drop_chunks('public.readings', older_than => interval '8 days')`)
    expect(rows.length).toBeGreaterThan(0)
  })

  test('whose chunk is purged by its own name keeps the rows of the others', async ({
    hypertables: { database, table },
  }) => {
    const chunk = await oldestChunk(database)
    const before = await contentOf(database, table)
    const { figures } = await expectPurged(database, chunk, purgeRequest('device < 10'))
    expect((await contentOf(database, table)).rows).toBe(before.rows - (figures?.rows ?? 0))
  })
})

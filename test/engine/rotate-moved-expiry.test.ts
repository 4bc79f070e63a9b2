import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect } from 'vitest'
import { archive } from '../../src/engine/commands/archive.ts'
import { carryOut } from '../../src/engine/run.ts'
import type { Receipt } from '../../src/plan/archive/receipt.ts'
import type { RotateRequest, SetReport } from '../../src/engine/commands/rotate.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { parseInterval } from '../../src/grid/interval.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, raw, sql } from '../../src/sql/sql.ts'
import { migrateJournal } from '../../src/journal/migrate.ts'
import { registerSet } from '../../src/journal/sets.ts'
import type { SetPolicy } from '../../src/plan/language/policy.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { coldServer } from '../support/cold-server.ts'
import { test, type Database } from '../support/database.ts'
import { quietly, written } from '../support/tool.ts'
import {
  ASKED,
  cutAt,
  keyless,
  kindsOf,
  moving,
  ofDatabase,
  onOtherServer,
  rightBefore,
  rowsOf,
  tablesThere,
} from './move-support.ts'
import { journalOf, leafOf, month, planOf, rotateOne } from './rotate-support.ts'

const cold = coldServer()

/** A time after which what is before the month of the same offset has expired there. */
const REMOVED = { ...ASKED, keepMoved: parseInterval('3 months'), noArchive: true }

function removing(
  database: Database,
  table: TableName,
  asked: Partial<Omit<RotateRequest, 'keep' | 'grace'>> = {},
  changes: Partial<EngineOptions> = {},
): Promise<SetReport> {
  return rotateOne(database, table, { ...REMOVED, ...asked }, { toUrl: cold.urlOf(database), ...changes })
}

/** `events` with five months, of which three are moved, and two of those are older than `REMOVED` says. */
async function moved(database: Database): Promise<TableName> {
  await cold.link(database)
  const table = await keyless(database, -5)
  expect((await moving(cold, database, table)).failed).toEqual([])
  return table
}

/** Both partitions are gone on both sides, and nothing is left; what is younger is there. */
async function expectRemoved(database: Database, table: TableName, before: readonly string[]): Promise<void> {
  const [oldest, old, young] = [-5, -4, -3].map((offset) => leafOf(database, table, offset).name) as [
    string,
    string,
    string,
  ]
  expect(await tablesThere(cold, database)).toEqual({ [young]: expect.stringMatching(/^ebb: moved/) as string })
  const kinds = await kindsOf(database, table)
  expect([kinds[oldest], kinds[old], kinds[young]]).toEqual([undefined, undefined, 'f'])
  expect(await rowsOf(database, table)).toEqual(before.filter((row) => !isBefore(row)))
  const { rows } = await database.admin('select there_name as name from ebb.moved_partition')
  expect(rows).toEqual([{ name: young }])
}

/** Of the two rows of the partitions that are removed: ids are given in the order of months. */
function isBefore(row: string): boolean {
  return /^\([12],/.test(row)
}

describe('moved rows that have expired, too', () => {
  test('are removed here and there, and younger ones are not', async ({ database }) => {
    const table = await moved(database)
    const before = await rowsOf(database, table)
    const plan = await planOf(database, table, REMOVED)
    expect(plan.objections).toEqual([])
    expect(plan.retire.map(({ partition, steps }) => [partition.name.name, steps.map(({ title }) => title)])).toEqual(
      [-5, -4].map((offset) => {
        const leaf = leafOf(database, table, offset)
        const shown = `${leaf.schema}."${leaf.name}"`
        return [leaf.name, [`drop the foreign table ${shown}`, `drop ${shown} on cold`]]
      }),
    )

    const report = await removing(database, table)

    expect(report.failed).toEqual([])
    expect(report.retired.map(({ outcome, partition }) => [outcome, partition.name])).toEqual(
      [-5, -4].map((offset) => ['dropped', leafOf(database, table, offset).name]),
    )
    await expectRemoved(database, table, before)
    expect(await journalOf(database, table)).toEqual(expect.arrayContaining(['moved', 'detached', 'dropped']))
    const again = await removing(database, table)
    expect([again.failed, again.retired]).toEqual([[], []])
  })

  test('are archived on their server first, by whoever wants to keep them', async ({ database }) => {
    const table = await moved(database)
    const before = await rowsOf(database, table)
    const folder = await archiveFolder()
    try {
      const archived: string[] = []
      for (const offset of [-5, -4]) {
        const name = written(leafOf(database, table, offset))
        const asked = { where: null, to: archiveTo(folder.uri) }
        const { receipt } = await carryOut(cold.urlOf(database), name, archive, asked, quietly())
        const read = JSON.parse(await readFile(fileURLToPath(receipt.uri), 'utf8')) as Receipt
        archived.push(...(await archivedRows(folder.path, read)))
      }
      // As its mark says, the table there is still the one that was moved.
      const report = await removing(database, table)
      expect([report.failed, report.retired.length]).toEqual([[], 2])
      expect(await rowsOf(database, table)).toEqual(before.filter((row) => !isBefore(row)))
      expect(archived.map((row) => row.split(',')[0])).toEqual(
        before.filter(isBefore).map((row) => /\d+/.exec(row)?.[0]),
      )
    } finally {
      await folder.close()
    }
  })

  test('stay where there is an objection, a hold, or something that depends on them', async ({ database }) => {
    const table = await moved(database)
    const before = await rowsOf(database, table)
    const codes = async (asked: Partial<RotateRequest>) => {
      const { objections, retire } = await planOf(database, table, { ...REMOVED, ...(asked as object) })
      return [objections.map(({ code }) => code), retire.length]
    }
    expect(await codes({ noArchive: false })).toEqual([['archive'], 0])
    expect(await codes({ keepMoved: parseInterval('1 month') })).toEqual([['keep-moved'], 0])

    const [oldest, old] = [leafOf(database, table, -5), leafOf(database, table, -4)]
    await database.admin(sql`create view ${quoted(database.table('seen'))} as select * from ${quoted(oldest)}`)
    await database.admin(sql`
      insert into ${ident('ebb', 'hold')} (schema_name, table_name, bounds, until)
      select ${table.schema}, ${table.name}, pg_get_expr(relpartbound, oid), now() + interval '1 day' from pg_class where relname = ${old.name}`)
    const kept = await removing(database, table)
    expect([kept.retired, kept.failed]).toEqual([[], []])
    const kinds = kept.skipped.map(({ partition, reason }) => [partition.name, reason])
    expect(kinds).toContainEqual([oldest.name, expect.stringContaining('other objects depend on it')])
    expect(kinds).toContainEqual([old.name, expect.stringContaining('on hold')])
    expect(await rowsOf(database, table)).toEqual(before)
  })

  test('are left alone where a rotation of this database has not moved them', async ({ database }) => {
    const table = await moved(database)
    const { rows } = await database.admin<{ from: string; to: string }>(
      sql`select (${month(-7)})::text as from, (${month(-6)})::text as to`,
    )
    const other = database.table('other')
    await cold.query(database, `create table ${quoted(other).text} (like ${quoted(leafOf(database, table, -5)).text})`)
    await database.admin(
      `create foreign table ${quoted(other).text} partition of ${quoted(table).text} for values from ('${rows[0]!.from}') to ('${rows[0]!.to}') server cold`,
    )
    const report = await removing(database, table)
    expect([report.failed, report.retired.length]).toEqual([[], 2])
    expect(report.skipped).toContainEqual({
      partition: other,
      reason: 'it is a foreign table that no rotation of this database has made',
    })
    expect(Object.keys(await tablesThere(cold, database))).toContain(other.name)
  })

  test.for([
    ['has lost its mark', (leaf: string) => `comment on table ${leaf} is 'in use'`, 'no longer has the comment'],
    [
      'has a row that has not',
      (leaf: string) =>
        `alter table ${leaf} drop constraint ebb_bounds; insert into ${leaf} (id, at) values (0, now())`,
      'has rows that have not expired',
    ],
  ] as const)(
    'are left alone where the table there %s, also at the last moment',
    async ([, change, message], { database }) => {
      const table = await moved(database)
      const before = await rowsOf(database, table)
      const oldest = leafOf(database, table, -5)
      const reports: SetReport[] = []
      // Looked at before, it was as it should be: the foreign table is dropped, and the other is not.
      await rightBefore(
        /^lock table .* in access exclusive/,
        onOtherServer(cold, database),
        () => cold.query(database, change(quoted(oldest).text)),
        async () => reports.push(await removing(database, table)),
      )
      expect(reports[0]!.failed.map(({ error }) => error.message)).toEqual([expect.stringContaining(message)])
      expect(reports[0]!.retired.map(({ partition }) => partition.name)).toEqual([leafOf(database, table, -4).name])
      expect(Object.keys(await tablesThere(cold, database))).toContain(oldest.name)

      // And then it is looked at before anything is changed.
      await cold.query(database, change(quoted(leafOf(database, table, -3)).text))
      const later = { keep: '1 month', keepMoved: parseInterval('2 months'), accept: ['shorter-keep'] }
      const refused = await rotateOne(database, table, { ...REMOVED, ...later }, { toUrl: cold.urlOf(database) })
      expect(refused.failed.map(({ error }) => error.message)).toEqual([
        expect.stringContaining(message),
        expect.stringContaining(message),
      ])
      expect((await kindsOf(database, table))[leafOf(database, table, -3).name]).toBe('f')
      expect(before.length).toBeGreaterThan(0)
    },
  )
})

describe('moved rows of a set by id', () => {
  test('are removed by the newest of each partition, which was noted when it was moved', async ({ database }) => {
    await cold.link(database)
    const table = database.table('events')
    const owner = await database.session('owner')
    const columns = raw('id bigint generated by default as identity, created_at timestamptz')
    const leaves = [0, 1000, 2000, 3000].map((from) => leafOf(database, table, from))
    await owner.query(sql`create table ${quoted(table)} (${columns}) partition by range (id)`)
    for (const [i, leaf] of leaves.entries())
      await owner.query(
        sql`create table ${quoted(leaf)} partition of ${quoted(table)} for values from (${raw(String(i * 1000))}) to (${raw(String(i * 1000 + 1000))})`,
      )
    // A row for every day from 105 days ago, 30 in each partition; the last one still receives rows.
    await database.admin(
      sql`
      insert into ${quoted(table)} select n * 1000 / 30, now() - make_interval(days => 105 - n) from generate_series(0, 105) n;
      select setval(pg_get_serial_sequence(${literal(quoted(table).text)}, 'id'), 3500)`.text,
    )
    const days = (count: number) => parseInterval(`${count} days`)
    const every = { kind: 'ids', ids: 1000n } as const
    const policy: SetPolicy = {
      column: 'id',
      kind: 'id',
      timezone: 'UTC',
      every,
      expireBy: 'created_at',
      keep: days(30),
      premake: 2,
    }
    await migrateJournal(owner, 'ebb')
    await registerSet(owner, 'ebb', table, policy, null)
    const rotating = (asked: Partial<Omit<RotateRequest, 'keep' | 'grace'>>) =>
      rotateOne(database, table, { retire: 'move', to: 'cold', ...asked }, { toUrl: cold.urlOf(database) })
    const told = ({ failed, retired, plan }: SetReport) => [
      [...failed.map(({ error }) => error.message), ...(plan?.objections ?? []).map(({ what }) => what)],
      retired.map(({ outcome, partition }) => [outcome, partition.name]),
    ]
    const [first, second] = leaves as [TableName, TableName]

    expect(told(await rotating({ noArchive: false }))).toEqual([
      [],
      [
        ['moved', first.name],
        ['moved', second.name],
      ],
    ])
    // The newest of the first is 76 days old, of the second 46.
    const removed = { noArchive: true, keepMoved: days(60) }
    expect(told(await rotating(removed))).toEqual([[], [['dropped', first.name]]])
    expect(Object.keys(await tablesThere(cold, database))).toEqual([second.name])
    expect(told(await rotating(removed))).toEqual([[], []])
    // What is written there later counts, though nothing here has noted it.
    await cold.query(database, `update ${quoted(second).text} set created_at = now() where id = 1500`)
    const [messages, retired] = told(await rotating({ ...removed, keepMoved: days(40) }))
    expect([messages, retired]).toEqual([[expect.stringContaining('has rows that have not expired')], []])
    await cold.query(database, `update ${quoted(second).text} set created_at = now() - interval '90 days'`)
    expect(told(await rotating({ ...removed, keepMoved: days(40) }))).toEqual([[], [['dropped', second.name]]])
    expect(await tablesThere(cold, database)).toEqual({})
  })
})

/** In their order; after each of them there is something else than before. */
const POINTS = [
  /^drop foreign table/,
  /^lock table .* in access exclusive mode$/,
  /^drop table/,
  /delete from "ebb"."moved_partition"/,
]

describe('wherever a removal is killed', () => {
  test('the same command continues, and nothing is left', async ({ database }) => {
    const table = await moved(database)
    const before = await rowsOf(database, table)
    for (const point of POINTS) {
      const work = () => removing(database, table).catch(() => {})
      expect([point, await cutAt(point, ofDatabase(database), work)]).toEqual([point, true])
      // Nothing here reads what is not there.
      await rowsOf(database, table)
    }
    expect((await removing(database, table)).failed).toEqual([])
    await expectRemoved(database, table, before)
  })

  test('of the other server: the rest is done here, what is left is said, and dropped by the next rotation', async ({
    database,
  }) => {
    const table = await moved(database)
    const before = await rowsOf(database, table)
    const reports: SetReport[] = []
    const work = async () => reports.push(await removing(database, table))
    expect(await cutAt(/^drop table/, onOtherServer(cold, database), work)).toBe(true)
    expect(reports[0]!.failed.map(({ error }) => error)).toEqual([
      expect.objectContaining({ message: expect.stringMatching(/^cold: /) as string, kind: 'try later' }),
    ])
    const oldest = leafOf(database, table, -5)
    const dropping = await planOf(database, table, { keep: '2 months' })
    expect(dropping.skipped).toContainEqual({
      partition: oldest,
      reason: 'it is on cold, where nothing reads it any more; a rotation with --keep-moved drops it',
    })
    expect((await removing(database, table)).failed).toEqual([])
    await expectRemoved(database, table, before)
  })
})

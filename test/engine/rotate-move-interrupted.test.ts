import { describe, expect } from 'vitest'
import type { SetReport } from '../../src/engine/commands/rotate.ts'
import { quoted } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { coldServer } from '../support/cold-server.ts'
import { test, type Database } from '../support/database.ts'
import type { Event } from '../../src/events.ts'
import {
  ASKED,
  cutAt,
  expectMoved,
  keyless,
  kindsOf,
  moving,
  ofDatabase,
  onOtherServer,
  rightBefore,
  rowsOf,
  tablesThere,
} from './move-support.ts'
import { leafOf, month, planOf, rotateOne } from './rotate-support.ts'

const cold = coldServer()

/** Rotates, without a move, and returns what was noted of copies. */
async function rotateTold(database: Database, asked: Parameters<typeof rotateOne>[2]): Promise<string[]> {
  const events: Event[] = []
  const observer = (event: Event) => void events.push(event)
  expect((await rotateOne(database, database.table('events'), asked, { observer })).failed).toEqual([])
  return events.flatMap((event) => (event.type === 'note' && event.text.includes('copy') ? [event.text] : []))
}

/** The statements after which there is something else than before, and some in the midst of a transaction; in their order. */
const POINTS = [
  /insert into "ebb"."retirement"/,
  /set token = coalesce/,
  /create or replace trigger/,
  /^create table .*ebb_bounds/,
  /^copy .* from stdin/,
  /^analyze/,
  /^create foreign table .*_ebb_moving/,
  /different/,
  /set token = concat_ws/,
  /^comment on table .* is 'ebb: moved/,
  /^lock table only/,
  /create foreign table .* partition of/,
]

describe('wherever a move is killed', () => {
  test('the same command continues, and each row is there once', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const before = await rowsOf(database, table)
    for (const point of POINTS) {
      const work = () => moving(cold, database, table).catch(() => {})
      expect([point, await cutAt(point, ofDatabase(database), work)]).toEqual([point, true])
      expect(await rowsOf(database, table)).toEqual(before)
    }
    // What Ebb has left on the partition is no reason not to create others.
    expect((await planOf(database, table, ASKED)).objections).toEqual([])
    expect((await moving(cold, database, table)).failed).toEqual([])
    await expectMoved(database, table, before)
  })

  test('of the other server alone, everything here is done, and the next rotation moves it', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const before = await rowsOf(database, table)
    for (const point of [/^analyze/, /^comment on table .* is 'ebb: moved/]) {
      const reports: SetReport[] = []
      const work = async () => reports.push(await moving(cold, database, table))
      expect(await cutAt(point, onOtherServer(cold, database), work)).toBe(true)
      expect(reports[0]!.failed.map(({ error }) => error.message)).toEqual([expect.stringMatching(/^cold: /)])
      expect(await rowsOf(database, table)).toEqual(before)
    }
    expect((await moving(cold, database, table)).failed).toEqual([])
    await expectMoved(database, table, before)
  })

  test.for([
    ['stays here for longer', (database: Database) => rotateTold(database, { keep: '12 months' })],
    ['is dropped instead', (database: Database) => rotateTold(database, { keep: '2 months' })],
    [
      'is gone',
      async (database: Database) => {
        await database.admin(sql`drop table ${quoted(leafOf(database, database.table('events'), -3))}`)
        return rotateTold(database, { keep: '2 months' })
      },
    ],
  ] as const)('and the partition then %s: it is said where a copy is left', async ([, rotating], { database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const work = () => moving(cold, database, table).catch(() => {})
    expect(await cutAt(/set token = concat_ws/, ofDatabase(database), work)).toBe(true)
    const notes = await rotating(database)
    expect(notes).toEqual([expect.stringMatching(/is given up; a copy may be left on cold, .*: moved, \S+'/) as string])
    const [, drop = ''] = /: (drop table .*;)$/.exec(notes[0] ?? '') ?? []
    await cold.query(database, drop)
    expect(await tablesThere(cold, database)).toEqual({})
    expect(await rotateTold(database, { keep: '12 months' })).toEqual([])
  })

  test.for([
    ['a row is written', (leaf: string) => `update ${leaf} set token = 'later'`],
    [
      'a column is added',
      (leaf: string, table: string) => `alter table ${table} add more int default 7; select from ${leaf}`,
    ],
  ] as const)('right before the exchange, and then %s: it is copied again', async ([, change], { database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const leaf = leafOf(database, table, -3)
    const work = () => moving(cold, database, table).catch(() => {})
    expect(await cutAt(/^lock table only/, ofDatabase(database), work)).toBe(true)
    await database.admin(change(quoted(leaf).text, quoted(table).text))
    const before = await rowsOf(database, table)
    expect((await moving(cold, database, table)).failed).toEqual([])
    await expectMoved(database, table, before)
  })
})

describe('a table on the other server is left alone', () => {
  test('where it is not the copy of this move, also if it has the same rows', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const leaf = leafOf(database, table, -3)
    const work = () => moving(cold, database, table).catch(() => {})
    await cutAt(/^create foreign table .*_ebb_moving/, ofDatabase(database), work)
    const { [leaf.name]: ours } = await tablesThere(cold, database)
    await cold.query(database, `comment on table ${quoted(leaf).text} is 'in use by somebody'`)
    const before = await rowsOf(database, table)

    for (const change of ['select', `update ${quoted(leaf).text} set token = 'tampered'`]) {
      await cold.query(database, change)
      const refused = await moving(cold, database, table)
      expect(refused.failed.map(({ error }) => error.message)).toEqual([
        expect.stringContaining('which is not a copy that was made for this move'),
      ])
      expect(await rowsOf(database, table)).toEqual(before)
    }

    // Of its own making, it is replaced.
    await cold.query(database, `comment on table ${quoted(leaf).text} is '${ours}'`)
    expect((await moving(cold, database, table)).failed).toEqual([])
    await expectMoved(database, table, before)
  })

  test.for([
    ['dropped to be copied again', /^lock table .* in access exclusive/],
    ['claimed for the exchange', /^lock table .* in share update exclusive/],
  ] as const)('where somebody has taken it over right before it is %s', async ([, statement], { database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const leaf = leafOf(database, table, -3)
    const work = () => moving(cold, database, table).catch(() => {})
    await cutAt(/^create foreign table .*_ebb_moving/, ofDatabase(database), work)
    if (statement.test('lock table x in access exclusive')) await database.admin(sql`update ${quoted(leaf)} set n = 5`)
    const reports: SetReport[] = []
    await rightBefore(
      statement,
      onOtherServer(cold, database),
      () => cold.query(database, `comment on table ${quoted(leaf).text} is 'in use'`),
      async () => reports.push(await moving(cold, database, table)),
    )
    expect(reports[0]!.failed.map(({ error }) => error.message)).toEqual([
      expect.stringContaining('which is not a copy that was made for this move'),
    ])
    expect(await tablesThere(cold, database)).toEqual({ [leaf.name]: 'in use' })
    expect((await kindsOf(database, table))[leaf.name]).toBe('r')
  })
})

/** What is changed then has been looked at before. */
const LAST_BEFORE_LOCK = /set token = concat_ws/

describe('under the lock of the exchange', () => {
  test('it is asked again whether rows are on hold', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const leaf = leafOf(database, table, -3)
    const hold = sql`insert into ${ident('ebb', 'hold')} (schema_name, table_name, until) values (${table.schema}, ${table.name}, now() + interval '1 day')`
    const reports: SetReport[] = []
    await rightBefore(
      LAST_BEFORE_LOCK,
      ofDatabase(database),
      () => database.admin(hold),
      async () => reports.push(await moving(cold, database, table)),
    )
    expect(reports[0]!.failed.map(({ error }) => error.message)).toEqual([expect.stringContaining('on hold')])
    expect((await kindsOf(database, table))[leaf.name]).toBe('r')
  })

  test('and whether the bounds are those of the plan', async ({ database }) => {
    await cold.link(database)
    const table = await keyless(database, -3)
    const [leaf, parent] = [leafOf(database, table, -3), quoted(table)]
    const shrink = async () => {
      const { rows } = await database.admin<{ to: string }>(sql`select (${month(-2)} - interval '1 day')::text as to`)
      const { rows: from } = await database.admin<{ from: string }>(sql`select (${month(-3)})::text as from`)
      await database.admin(`alter table ${parent.text} detach partition ${quoted(leaf).text};
        alter table ${parent.text} attach partition ${quoted(leaf).text} for values from ('${from[0]!.from}') to ('${rows[0]!.to}')`)
    }
    const reports: SetReport[] = []
    await rightBefore(LAST_BEFORE_LOCK, ofDatabase(database), shrink, async () =>
      reports.push(await moving(cold, database, table)),
    )
    expect(reports[0]!.failed.map(({ error }) => error.message)).toEqual([expect.stringContaining('its bounds are')])
    expect((await kindsOf(database, table))[leaf.name]).toBe('r')
  })
})

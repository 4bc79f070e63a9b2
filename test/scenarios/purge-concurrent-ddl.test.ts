import { describe, expect } from 'vitest'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { Event } from '../../src/events.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { contentOf, purgeRows } from '../support/purging.ts'
import { expectNoneLeft, failureOf, gone, inParts, inTheMidst, OLD, owned, ROWS, visits } from '../support/visits.ts'

// Somebody rebuilds, renames, detaches or swaps what a purge is at work on, between two of its batches. Rows that are
// no longer the table's stay; what moved is found again; and the run can always be gone on with, or says why not.

const WAYS = [
  ['block after block', OLD],
  ['along an index', { ...OLD, orderBy: 'id' }],
  ['along an index that is not unique', { ...OLD, orderBy: 'day' }],
] as const

describe.for(WAYS)('%s, a rewritten table', ([, request]) => {
  const rewrite = (table: TableName) => sql`vacuum full ${quoted(table)}`.text

  test('during the run is walked once more', async ({ database }) => {
    const table = await visits(database)
    const { remaining } = await purgeRows(database, table, request, {
      turns: inTheMidst(10, () => owned(database, rewrite(table))),
    })
    await expectNoneLeft(database, table)
    expect(remaining).toMatchObject({ matching: 0 })
    expect(await gone(database)).toBe(ROWS / 2)
  })

  test('during a stop is walked once more', async ({ database }) => {
    const table = await visits(database)
    const stop = new AbortController()
    await failureOf(
      purgeRows(database, table, request, {
        signal: stop.signal,
        turns: inTheMidst(20, () => Promise.resolve(stop.abort())),
      }),
    )
    await owned(database, rewrite(table))
    const { remaining } = await purgeRows(database, table, request, { turns: inTheMidst(0, () => Promise.resolve()) })
    await expectNoneLeft(database, table)
    expect(remaining).toMatchObject({ matching: 0 })
    expect(await gone(database)).toBe(ROWS / 2)
  })

  test('while rows are to be revisited is walked once more', async ({ database }) => {
    const table = await visits(database)
    const app = await database.session('app')
    await app.query('begin')
    await app.query(sql`select from ${quoted(table)} where id in (3000, 3002) for update`)
    let rewritten: Promise<unknown> | undefined
    const { remaining } = await purgeRows(database, table, request, {
      turns: inTheMidst(0, () => Promise.resolve(), 200),
      observer: (event) => {
        if (event.type === 'waiting') rewritten ??= app.query('commit').then(() => owned(database, rewrite(table)))
      },
    })
    expect(rewritten).toBeDefined()
    await expectNoneLeft(database, table)
    expect(remaining).toMatchObject({ matching: 0 })
    expect(await gone(database)).toBe(ROWS / 2)
  })
})

describe('a partition', () => {
  test.for([
    ['detached', (place: string, part: string) => [`alter table ${place} detach partition ${part}`]],
    [
      'detached concurrently',
      (place: string, part: string) => [`alter table ${place} detach partition ${part} concurrently`],
    ],
  ] as const)('that has been %s keeps its rows', async ([, statements], { database }) => {
    const { table, parts } = await inParts(database)
    const [first, , third] = parts as [TableName, TableName, TableName]
    const events: Event[] = []
    const result = await purgeRows(database, table, OLD, {
      observer: (event) => void events.push(event),
      // In the first, and before it is the turn of the third.
      turns: inTheMidst(4, async () => {
        for (const part of [first, third])
          for (const statement of statements(quoted(table).text, quoted(part).text)) await owned(database, statement)
      }),
    })
    expect((await contentOf(database, third)).rows).toBe(1000)
    expect((await contentOf(database, first)).rows).toBeGreaterThan(600)
    expect(result.figures?.rows).toBe(
      4000 - 1000 - (await total(database, [first, ...parts.slice(1).filter((p) => p !== third)])),
    )
    expect(result.remaining).toMatchObject({ matching: 0 })
    expect(
      events
        .filter(({ type }) => type === 'note')
        .map((event) => ('text' in event ? event.text : ''))
        .join(),
    ).toMatch(/no longer a part of/)
  })

  test('that has been dropped is no obstacle, nor is its vacuum', async ({ database }) => {
    const { table, parts } = await inParts(database)
    const { figures, remaining } = await purgeRows(database, table, OLD, {
      turns: inTheMidst(4, () => owned(database, sql`drop table ${quoted(parts[0]!)}`.text)),
    })
    expect(figures?.rows).toBeGreaterThan(1_500)
    expect(remaining).toMatchObject({ matching: 0 })
  })

  test('replaced by one without matching rows at planning time: it is left alone', async ({ database }) => {
    const { table, parts } = await inParts(database)
    const part = quoted(parts[2]!).text
    await purgeRows(database, table, OLD, {
      turns: inTheMidst(4, async () => {
        await owned(database, `alter table ${quoted(table).text} detach partition ${part}`)
        await owned(database, sql`alter table ${quoted(parts[2]!)} rename to ${ident('kept for ever')}`.text)
        await owned(database, `create table ${part} (id int primary key, kind text not null, note text)`)
        await owned(database, `insert into ${part} values (1, 'old')`)
      }),
    })
    expect((await contentOf(database, parts[2]!)).rows).toBe(1)
    expect((await contentOf(database, { ...parts[2]!, name: 'kept for ever' })).rows).toBe(1000)
  })

  test('attached since is reported, if it has matching rows', async ({ database }) => {
    const { table } = await inParts(database)
    const { remaining } = await purgeRows(database, table, OLD, {
      turns: inTheMidst(4, async () => {
        const late = quoted(database.table('visits_late')).text
        await owned(database, `create table ${late} partition of ${quoted(table).text} default`)
        await owned(database, sql`insert into ${quoted(table)} values (9999, 'old')`.text)
      }),
    })
    expect(remaining).toMatchObject({ matching: 1 })
  })
})

describe('a table', () => {
  test('that has been renamed stops the run, which resumes once it has its name again', async ({ database }) => {
    const table = await visits(database)
    const place = quoted(table)
    const away = { ...table, name: 'visits of old' }
    const error = await failureOf(
      purgeRows(database, table, OLD, {
        turns: inTheMidst(5, () => owned(database, sql`alter table ${place} rename to ${ident(away.name)}`.text)),
      }),
    )
    expect(error.message).toMatch(/renamed/)
    expect(error.advice.state).toMatch(/batches/)
    await owned(database, sql`alter table ${quoted(away)} rename to ${ident(table.name)}`.text)
    await purgeRows(database, table, OLD, { turns: inTheMidst(0, () => Promise.resolve()) })
    await expectNoneLeft(database, table)
  })

  test('replaced by another keeps its rows, and so does the other', async ({ database }) => {
    const table = await visits(database)
    const place = quoted(table)
    const away = { ...table, name: 'visits of old' }
    const error = await failureOf(
      purgeRows(database, table, OLD, {
        turns: inTheMidst(5, async () => {
          await owned(database, sql`alter table ${place} rename to ${ident(away.name)}`.text)
          await owned(database, sql`create table ${place} (like ${quoted(away)} including all)`.text)
          await owned(database, sql`insert into ${place} select * from ${quoted(away)}`.text)
        }),
      }),
    )
    expect(error.message).toMatch(/renamed/)
    const there = (await contentOf(database, table)).rows
    expect((await contentOf(database, away)).rows).toBe(there)
    expect(there).toBe(ROWS - (await gone(database)))
  })

  test('with a new rule stops the run, which resumes without it', async ({ database }) => {
    const table = await visits(database)
    const place = quoted(table)
    const error = await failureOf(
      purgeRows(database, table, OLD, {
        turns: inTheMidst(5, () =>
          owned(database, sql`create rule never as on delete to ${place} do instead nothing`.text),
        ),
      }),
    )
    expect(error.message).toMatch(/a rule added since the purge was planned .*: never/)
    await owned(database, sql`alter table ${place} disable rule never`.text)
    await purgeRows(database, table, OLD, { turns: inTheMidst(0, () => Promise.resolve()) })
    await expectNoneLeft(database, table)
  })

  test('with a renamed column stops the run, which resumes once it has its name again', async ({ database }) => {
    const table = await visits(database)
    const place = quoted(table)
    const error = await failureOf(
      purgeRows(database, table, OLD, {
        turns: inTheMidst(5, () => owned(database, sql`alter table ${place} rename column kind to sort`.text)),
      }),
    )
    expect(error.message).toMatch(/kind/)
    expect(error.advice.state).toMatch(/last batch has been rolled back/)
    await owned(database, sql`alter table ${place} rename column sort to kind`.text)
    await purgeRows(database, table, OLD, { turns: inTheMidst(0, () => Promise.resolve()) })
    await expectNoneLeft(database, table)
  })

  test('whose walked index has been dropped is walked by blocks', async ({ database }) => {
    const table = await visits(database)
    const options: Partial<EngineOptions> = {
      turns: inTheMidst(5, () => owned(database, sql`drop index ${ident(table.schema, 'by_day')}`.text)),
    }
    const { remaining } = await purgeRows(database, table, { ...OLD, orderBy: 'day' }, options)
    await expectNoneLeft(database, table)
    expect(remaining).toMatchObject({ matching: 0 })
    const { rows } = await database.admin<{ upto: string }>(
      'select upto from ebb.purge_batch order by number desc limit 1',
    )
    expect(rows[0]?.upto).toMatch(/^\(/)
  })
})

async function total(database: Database, tables: readonly TableName[]): Promise<number> {
  let sum = 0
  for (const table of tables) sum += (await contentOf(database, table)).rows
  return sum
}

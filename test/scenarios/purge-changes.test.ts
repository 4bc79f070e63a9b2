import { describe, expect } from 'vitest'
import { quoted } from '../../src/sql/names.ts'
import { ident } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { contentOf, purgeRows } from '../support/purging.ts'
import { expectNoneLeft, failureOf, gone, inParts, inTheMidst, OLD, owned, ROWS, visits } from '../support/visits.ts'

// Somebody changes what a purge rests on, between two of its batches: what refers to its rows, or the order it goes by.

describe('a foreign key added during the run', () => {
  test.for(['cascade', 'set null'])('on delete %s changes no row unknown to the plan', async (action, { database }) => {
    const table = await visits(database)
    const place = quoted(table).text
    const failure = await failureOf(
      purgeRows(database, table, OLD, {
        turns: inTheMidst(5, async () => {
          await owned(
            database,
            `create table notes (visit int references ${place} on delete ${action}); create index on notes (visit)`,
          )
          await owned(database, `insert into notes select id from ${place} where id > 2000`)
        }),
      }),
    )
    expect(failure.message).toMatch(/a foreign key added since .*notes_visit_fkey/)
    const { rows } = await database.admin('select from notes where visit is not null')
    expect(rows).toHaveLength(2000)
    expect((await contentOf(database, table)).rows).toBe(ROWS - (await gone(database)))
  })

  test('in partitions, and on a table emptied with them, is detected as well', async ({ database }) => {
    const { table } = await inParts(database)
    await owned(
      database,
      `create table notes (id int primary key, visit int references ${quoted(table).text} on delete cascade); create index on notes (visit)`,
    )
    await owned(database, `insert into notes select id, id from ${quoted(table).text}`)
    const failure = await failureOf(
      purgeRows(
        database,
        table,
        { ...OLD, cascade: true },
        {
          turns: inTheMidst(5, async () => {
            await owned(
              database,
              `create table replies (note int references notes on delete cascade); create index on replies (note)`,
            )
            await owned(database, `insert into replies select id from notes where id > 2000`)
          }),
        },
      ),
    )
    expect(failure.message).toMatch(/replies_note_fkey/)
    expect((await database.admin('select from replies')).rows).toHaveLength(1999)
  })

  test('that only restricts is no obstacle: rows kept by it are reported', async ({ database }) => {
    const table = await visits(database)
    const { figures, remaining } = await purgeRows(database, table, OLD, {
      turns: inTheMidst(5, async () => {
        await owned(
          database,
          `create table notes (visit int references ${quoted(table).text}); create index on notes (visit)`,
        )
        await owned(database, `insert into notes values (3000)`)
      }),
    })
    expect(figures?.rows).toBe(ROWS / 2 - 1)
    expect(remaining).toMatchObject({ matching: 1 })
  })
})

test.for([
  ['whose type has changed', 'alter table visits alter day type text', { ...OLD, orderBy: 'day' }],
  [
    'whose type and order have changed',
    'alter table visits alter id type numeric using -id',
    { ...OLD, orderBy: 'id' },
  ],
  [
    'of an index that is another one by now',
    'drop index SCHEMA.by_day; create index by_day on visits (kind)',
    { ...OLD, orderBy: 'day' },
  ],
] as const)('positions of a column %s do not determine the walk', async ([, change, request], { database }) => {
  const table = await visits(database)
  const { remaining } = await purgeRows(database, table, request, {
    turns: inTheMidst(5, async () => {
      for (const statement of change.split('; '))
        await owned(
          database,
          statement.replaceAll('visits', quoted(table).text).replace('SCHEMA', ident(table.schema).text),
        )
    }),
  })
  await expectNoneLeft(database, table)
  expect(remaining).toMatchObject({ matching: 0 })
})

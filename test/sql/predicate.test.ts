import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { parsePredicate } from '../../src/sql/predicate.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import { planRebuildOf } from '../support/commands.ts'

const MOMENT = '2026-11-21 12:00:00.000000+00'
const FIXED = `'${MOMENT}'::pg_catalog.timestamptz`

async function text(written: string): Promise<string> {
  return (await parsePredicate(written, MOMENT)).text
}

async function failure(written: string): Promise<string> {
  const error = await parsePredicate(written, MOMENT).catch((error: unknown) => error)
  if (!(error instanceof UsageError)) throw new Error(`not refused: ${written} (${String(error)})`)
  return error.message
}

describe('a condition', () => {
  it.each([
    ['a comparison', 'id > 5'],
    ['parentheses and logic', '(a or not b) and c is not null'],
    ['quoted columns', `"Größe ""x""" < 3 and "now()" = 'now() is a text'`],
    [
      'arrays, casts and operators',
      `tags && array['a', 'b']::text[] and data @> '{"a": 1}' and (data ->> 'n')::int = any ('{1,2}')`,
    ],
    ['functions and case', `case when lower(kind) like 'a%' then length(kind) > 3 else false end`],
    ['a comment at its end', 'id > 5 -- the new ones'],
    ['a comment within', 'id /* ) or true; -- */ > 5'],
    ['several lines', "id > 5\n  and kind = $$it's$$"],
    ['moments that are fixed', `at < 'infinity' and at > 'epoch' and at > '2026-01-01'`],
    ['words that mean a text', `kind = 'today'::text or kind in ('now or never', 'yesterday''s')`],
  ])('may be %s', async (_, written) => {
    expect(await text(written)).toBe(written)
  })

  it.each([
    ['now()', FIXED],
    ['NOW ( )', FIXED],
    ['pg_catalog.now()', FIXED],
    ['current_timestamp', FIXED],
    ['transaction_timestamp()', FIXED],
  ])('has %s fixed, in any position', async (now, fixed) => {
    expect(await text(`note <> 'now() – früher 🎉' and at > ${now} - interval '1 day' or ${now} < x -- now()`)).toBe(
      `note <> 'now() – früher 🎉' and at > ${fixed} - interval '1 day' or ${fixed} < x -- now()`,
    )
  })

  it.each([
    ['true) or (true', 'more than one condition'],
    ['true), (true', 'cannot be read'],
    ['a) = (b', 'more than one condition'],
    ['true, true', 'more than one condition'],
    ['1=1; drop table x', 'cannot be read'],
    ['true) ; drop table x; select (1', 'more than one condition'],
    ['true) order by (1', 'more than one condition'],
    ['true) union select (1', 'more than one condition'],
    ['true) limit (1', 'more than one condition'],
    ['true) for update; --', 'cannot be read'],
    ['true /*', 'cannot be read'],
    [`kind = 'a`, 'cannot be read'],
    ['', 'is empty'],
    [' -- nothing', 'is empty'],
    ['id in (select 1)', 'a subquery'],
    ['exists (select from users)', 'a subquery'],
    ['id = any (array(select 1))', 'a subquery'],
    ['id = $1', 'a parameter'],
    ['row_number() over () > 1', 'a window function'],
    ['sum(id) over (partition by kind) > 1', 'a window function'],
    ['grouping(id) = 1', 'GROUPING'],
    ['id = default', 'DEFAULT'],
    ['day > current_date', 'current_date'],
    ['at > current_timestamp(0)', 'current_timestamp with a precision'],
    ['at > localtimestamp', 'localtimestamp'],
    ['at > localtimestamp(3)', 'localtimestamp'],
    ['at > statement_timestamp()', 'statement_timestamp'],
    [`age(at) < '1 year'`, 'age() of one argument'],
    [`at > 'yesterday'`, `'yesterday'`],
    [`at > 'Today 12:00'::timestamptz`, `'Today 12:00'`],
    [`at > timestamptz 'now'`, `'now'`],
    ['ctid > (0,1)', 'the system column ctid'],
    ['t.xmin = 1', 'the system column xmin'],
    ['events.id = 1', 'a column qualified with a table name'],
    ['public.events.id = 1', 'a column qualified with a table name'],
    ['t.* is not null', 'a column qualified with a table name'],
    ['at > "now"()', 'now() in an unsupported spelling'],
    ['at > now(/* really */)', 'now() in an unsupported spelling'],
  ])('is rejected: %s', async (written, reason) => {
    expect(await failure(written)).toContain(reason)
  })

  it('shows the position of a syntax error, whatever precedes it', async () => {
    expect(await failure(`größe = 'ü🎉' and and x`)).toMatchInlineSnapshot(`
      "the condition cannot be read: syntax error at or near "and"
        größe = 'ü🎉' and and x
                         ^"
    `)
    expect(await failure(`größe > 1\nand x = = 1\nor y`)).toMatchInlineSnapshot(`
      "the condition cannot be read: syntax error at or near "="
        größe > 1
        and x = = 1
                ^"
    `)
    expect(await failure('a =')).toMatchInlineSnapshot(`
      "the condition cannot be read: syntax error at end of input
        a =
           ^"
    `)
  })

  it('shows the position of what it must not contain', async () => {
    expect(await failure(`größe > 1 and at > current_date`)).toMatchInlineSnapshot(`
      "the condition contains current_date:
        größe > 1 and at > current_date
                           ^"
    `)
  })

  it('lists its functions, for the server to classify', async () => {
    const { uses } = await parsePredicate(
      "lower(a || b) = app.f(random()) and at::date > now() and c = 'x'::text",
      MOMENT,
    )
    expect(uses).toEqual({
      functions: ['lower', 'f', 'random'],
      columns: ['a', 'b', 'at', 'c'],
      types: ['date', 'timestamptz'],
      operators: ['=', '||', '>'],
    })
  })
})

describe('on the server', () => {
  test('neighbors of a condition keep their meaning', async ({ database }) => {
    const session = await database.session('app')
    for (const written of ['false or true', 'true -- )', 'case when true then true end']) {
      const { rows } = await session.query(`select 1 where false and (${await text(written)}\n) and true`)
      expect(rows).toEqual([])
    }
  })
})

describe('a rebuild', () => {
  test.for([
    ['größe > 1 and nothing = 2', /column "nothing" does not exist\n {2}größe > 1 and nothing = 2\n {16}\^/],
    ['größe', /must be type boolean/],
    ['count(*) > 1', /aggregate functions are not allowed/],
    ['generate_series(1, 2) > 1', /set-returning functions are not allowed/],
  ] as const)('reports what is wrong with %s', async ([keep, reason], { database }) => {
    const table = await sizes(database)
    await expect(planRebuildOf(database.url, written(table), rebuildRequest({ keep }), quietly())).rejects.toThrow(
      reason,
    )
  })

  test('rejects volatile conditions', async ({ database }) => {
    const table = await sizes(database)
    const keep = 'random() < größe and clock_timestamp() > now()'
    const { objections } = await planRebuildOf(database.url, written(table), rebuildRequest({ keep }), quietly())
    expect(objections.map(({ code }) => code).sort()).toEqual(['volatile:clock_timestamp', 'volatile:random'])
  })
})

async function sizes(database: Database): Promise<TableName> {
  const table = database.table('sizes')
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(table)} (id int primary key, größe int)`)
  return table
}

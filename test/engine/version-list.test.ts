import { expect } from 'vitest'
import { readAll } from '../../src/db/query.ts'
import { sliceOfList, type ListWalk } from '../../src/plan/purge/version-list.ts'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'

test('slices of a list hold what is asked for, in order, and end with rows of the list that are near', async ({
  database,
}) => {
  const list = database.table('list')
  const session = await database.session('setup')
  await session.query(
    sql`create table ${quoted(list)} (ebb_leaf int4, ebb_first tid not null, ebb_last tid, ebb_at tid[] not null, primary key (ebb_leaf, ebb_last))`
      .text,
  )
  // Rows with 10 entries each; of the second the last 5 have gone, and another leaf has some, too.
  await session.query(
    sql`insert into ${quoted(list)} select leaf, format('(%s,1)', n)::tid, format('(%s,10)', n)::tid,
      array(select format('(%s,%s)', n, i)::tid from generate_series(1, case when n = 2 then 5 else 10 end) i order by i)
      from generate_series(1, 6) n, generate_series(1, 2) leaf`.text,
  )
  const walk: ListWalk = { kind: 'blocks', listed: { list, leaf: 1, key: [] } }

  const slices = async (rows: number, first: string | null = null) => {
    const found: string[] = []
    for (let after = first; ;) {
      const range = { after: after === null ? null : sql`${after}::pg_catalog.tid`, upto: null }
      const [slice] = await readAll<{ position: string; rows: number }>(
        session,
        sliceOfList({ walk }, range, sql`${rows}`),
      )
      if (slice === undefined) return found
      found.push(`${slice.rows} to ${slice.position}`)
      after = slice.position
    }
  }

  expect(await slices(100)).toEqual(['55 to (6,10)'])
  expect(await slices(30)).toEqual(['30 to (4,5)', '25 to (6,10)'])
  expect(await slices(26)).toEqual(['25 to (3,10)', '26 to (6,6)', '4 to (6,10)'])
  expect(await slices(16)).toEqual(['15 to (2,10)', '16 to (4,6)', '16 to (6,2)', '8 to (6,10)'])
  expect(await slices(4, '(4,9)')).toEqual([
    '4 to (5,3)',
    '4 to (5,7)',
    '4 to (6,1)',
    '4 to (6,5)',
    '4 to (6,9)',
    '1 to (6,10)',
  ])
  expect(await slices(7, '(2,7)')).toEqual([
    '7 to (3,7)',
    '7 to (4,4)',
    '7 to (5,1)',
    '7 to (5,8)',
    '7 to (6,5)',
    '5 to (6,10)',
  ])
  expect(await slices(7, '(6,10)')).toEqual([])
})

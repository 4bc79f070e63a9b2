import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { readOne } from '../../src/db/query.ts'
import type { Session } from '../../src/db/session.ts'
import { withVacuumBehind } from '../../src/engine/copy/vacuum-behind.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'
import { until } from '../support/until.ts'

const HOLDER = 'rebuild behind'
/** More each time. */
const someRows = () => performance.now()

describe('vacuum while the shadow is filled', () => {
  test('makes filled pages all-visible, and leaves no session behind', async ({ database }) => {
    const { place, control, shadow } = await ground(database)
    await withVacuumBehind(place(), shadow, someRows, async () => {
      await control.query(sql`insert into ${quoted(shadow)} select n from generate_series(1, 10000) n`)
      await until(async () => (await allVisible(control, shadow)) > 0, { what: 'a vacuum' })
    })
    expect(await sessions(control)).toEqual([])
  })

  test('does not run without new rows', async ({ database }) => {
    const { place, control, shadow } = await ground(database)
    await control.query(sql`insert into ${quoted(shadow)} select n from generate_series(1, 10000) n`)
    await withVacuumBehind(
      place(),
      shadow,
      () => 0,
      async () => void (await sleep(2_000)),
    )
    expect(await allVisible(control, shadow)).toBe(0)
  })

  test.for(['a stop', 'the end of the work'])('%s cancels a running vacuum', async (by, { database }) => {
    const { place, control, shadow } = await ground(database)
    await control.query(sql`insert into ${quoted(shadow)} select n from generate_series(1, 100000) n`)
    await database.admin(sql`alter database ${ident(database.name)} set vacuum_cost_delay = 100`)
    await database.admin(sql`alter database ${ident(database.name)} set vacuum_cost_limit = 1`)
    const stop = new AbortController()
    await withVacuumBehind(place(stop.signal), shadow, someRows, async () => {
      await until(async () => (await sessions(control)).some((query) => query.startsWith('vacuum')), {
        what: 'a vacuum',
      })
      if (by === 'a stop') stop.abort()
    })
    expect(await sessions(control)).toEqual([])
    expect(await allVisible(control, shadow)).toBe(0)
  })

  test('without a free session the copy continues', async ({ database }) => {
    const { place, shadow } = await ground(database)
    let done = false
    await withVacuumBehind({ ...place(), target: 'postgres://nobody@127.0.0.1:1/none' }, shadow, someRows, async () => {
      await sleep(1_500)
      done = true
    })
    expect(done).toBe(true)
  })

  test('a failure of the copy is reported', async ({ database }) => {
    const { place, shadow } = await ground(database)
    const failing = withVacuumBehind(place(), shadow, someRows, () => Promise.reject(new Error('disk full')))
    await expect(failing).rejects.toThrow('disk full')
  })
})

async function ground(database: Database) {
  const control = await database.session('control')
  const shadow = database.table('shadow')
  await control.query(sql`create table ${quoted(shadow)} (id bigint)`)
  const place = (signal = new AbortController().signal) => ({ target: database.url, holder: HOLDER, control, signal })
  return { control, shadow, place }
}

async function allVisible(session: Session, table: TableName): Promise<number> {
  const { pages } = await readOne<{ pages: number }>(
    session,
    sql`select relallvisible as pages from pg_class where oid = ${quoted(table).text}::regclass`,
  )
  return pages
}

/** What they are at. */
async function sessions(session: Session): Promise<string[]> {
  const { rows } = await session.query<{ query: string }>(
    sql`select query from pg_stat_activity where datname = current_database() and application_name = ${`ebb ${HOLDER}`}`,
  )
  return rows.map(({ query }) => query)
}

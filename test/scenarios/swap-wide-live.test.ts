import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import { rebuild } from '../support/commands.ts'

// Rows so large that catching up with a few of them takes long: nobody waits for it.

test.for([
  { rows: 400, bytes: 200_000, pauseMs: 3 },
  { rows: 30, bytes: 4_000_000, pauseMs: 30 },
])(
  '$rows rows of $bytes bytes, with a counter beside them, do not lengthen the lock',
  async ({ rows, bytes, pauseMs }, { database, judgeTimes }) => {
    const table = database.table('documents')
    const app = await database.session('app')
    await app.query(sql`create table ${quoted(table)} (id int primary key, n int not null default 0, body text)`)
    await app.query(sql`alter table ${quoted(table)} alter body set storage external`)
    await app.query(
      sql`insert into ${quoted(table)} (id, body) select g, repeat('x', ${bytes}) from generate_series(1, ${rows}::int) g`,
    )
    const stop = new AbortController()
    let writes = 0
    const counting = (async () => {
      for (; !stop.signal.aborted; writes++) {
        await app.query(sql`update ${quoted(table)} set n = n + 1 where id = ${1 + (writes % rows)}`)
        await sleep(pauseMs)
      }
    })()

    const { swap } = await rebuild(database.url, written(table), rebuildRequest(), quietly())
    stop.abort()
    await counting

    console.log(
      `${rows} rows of ${bytes} bytes, ${writes} updates: locked ${swap?.heldMs.toFixed(0)} ms in attempt ${swap?.attempts}`,
    )
    const { rows: sums } = await app.query<{ n: number }>(sql`select sum(n)::int as n from ${quoted(table)}`)
    expect(sums[0]?.n).toBe(writes)
    await judgeTimes(() => expect(swap?.longestWaitCausedMs).toBeLessThan(250))
  },
)

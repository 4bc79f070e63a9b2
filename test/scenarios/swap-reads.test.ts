import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql, type Sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import { rebuild } from '../support/commands.ts'

// Two tables that every transaction of the application writes alike. One of them is swapped, again and again, while
// readers compare both in snapshots that they took some time before they read the table for the first time.
//
// EBB_TEST_SWAPS=400 makes it a soak.

const SWAPS = Number(process.env.EBB_TEST_SWAPS ?? 12)
const ROWS = 1_000
const WRITERS = 4
const READERS = 4

test(
  'readers with a snapshot from before the swap see the rows written before it',
  { timeout: 900_000 + SWAPS * 10_000 },
  async ({ database }) => {
    const table = await pairs(database)
    const stop = new AbortController()
    const writers = Array.from({ length: WRITERS }, (_, i) =>
      keepOn(database, `writer ${i}`, stop.signal, write(table, i)),
    )
    const counts = { reads: 0, wrong: 0 }
    const readers = Array.from({ length: READERS }, (_, i) =>
      keepOn(database, `reader ${i}`, stop.signal, compare(table, counts)),
    )

    const options = quietly()
    for (let swaps = 0; swaps < SWAPS; swaps += 2) {
      const { runId } = await rebuild(database.url, written(table), rebuildRequest(), options)
      await rollback(database.url, { runId }, options)
    }
    stop.abort()
    const errors = (await Promise.all([...writers, ...readers])).flatMap((one) => one.errors)
    const swaps = options.events.flatMap((event) =>
      event.type === 'step finished' && event.step.kind === 'swap' && event.lock !== null ? [event.lock] : [],
    )
    const writes = (await Promise.all(writers)).reduce((sum, { turns }) => sum + turns, 0)

    console.log(
      `${SWAPS} swaps, ${writes} writing transactions; of ${counts.reads} reads ${counts.wrong} were wrong; ` +
        `held for ${middle(swaps.map(({ heldMs }) => heldMs))} ms, longest wait caused ${middle(swaps.map(({ longestWaitCausedMs }) => longestWaitCausedMs))} ms, ` +
        `attempts ${swaps.map(({ attempts }) => attempts).join(' ')}`,
    )
    expect(swaps).toHaveLength(SWAPS)
    expect(errors).toEqual([])
    expect(counts.reads).toBeGreaterThan(SWAPS)
    expect(counts.wrong).toBe(0)
    const check = await database.session('check')
    expect(await differences(check, table)).toBe(0)
  },
)

async function pairs(database: Database): Promise<TableName> {
  const table = database.table('pairs')
  const owner = await database.session('owner')
  for (const name of [quoted(table), sql`public.truth`])
    await owner.query(
      sql`create table ${name} (id int primary key, slot int unique, v int not null, filler text);
          insert into ${name} select n, n, 0, repeat('-', 200) from generate_series(1, ${raw(String(ROWS))}) n`.text,
    )
  return table
}

/** Writes both tables in one transaction: alone or after reading, one row or many, new ones and old ones. */
function write(table: TableName, writer: number) {
  const both = async (client: pg.Client, statement: (name: Sql) => Sql) => {
    for (const name of Math.random() < 0.5 ? [quoted(table), sql`public.truth`] : [sql`public.truth`, quoted(table)])
      await client.query(statement(name))
  }
  // Each writer has rows of its own, so that none waits for another.
  const mine = sql`id % ${WRITERS} = ${writer}`
  return async (client: pg.Client) => {
    await client.query('begin')
    if (Math.random() < 0.3) await client.query(sql`select count(*) from ${quoted(table)} where id < 10`)
    const id = Math.floor(Math.random() * ROWS)
    const change = Math.random()
    if (change < 0.5)
      await both(client, (name) => sql`update ${name} set v = v + 1 where id between ${id} and ${id + 8} and ${mine}`)
    else if (change < 0.7)
      await both(client, (name) => sql`delete from ${name} where id between ${id} and ${id + 8} and ${mine}`)
    else if (change < 0.75) await both(client, (name) => sql`update ${name} set v = v - 1 where ${mine}`)
    else
      await both(
        client,
        (name) =>
          sql`insert into ${name} select n, n, 0, 'new' from generate_series(${id}::int, ${id + 8}::int) n where n % ${WRITERS} = ${writer} on conflict do nothing`,
      )
    await client.query(Math.random() < 0.1 ? 'rollback' : 'commit')
    await sleep(Math.random() * 4)
  }
}

function compare(table: TableName, counts: { reads: number; wrong: number }) {
  return async (client: pg.Client) => {
    await client.query('begin isolation level repeatable read')
    await client.query('select from public.truth limit 1')
    await sleep(Math.random() * 60)
    counts.reads++
    if ((await differences(client, table)) > 0) counts.wrong++
    await client.query('commit')
  }
}

async function differences(client: pg.Client, table: TableName): Promise<number> {
  const { rows } = await client.query<{ n: number }>(
    sql`select count(*)::int as n from ${quoted(table)} a full join public.truth b using (id) where row(a.v, a.slot) is distinct from row(b.v, b.slot)`,
  )
  return rows[0]?.n ?? -1
}

async function keepOn(
  database: Database,
  name: string,
  signal: AbortSignal,
  act: (client: pg.Client) => Promise<void>,
): Promise<{ readonly turns: number; readonly errors: readonly string[] }> {
  const client = await database.session(name)
  const errors: string[] = []
  let turns = 0
  for (; !signal.aborted; turns++) {
    try {
      await act(client)
    } catch (error) {
      errors.push(`${name}: ${String(error)}`)
      await client.query('rollback')
    }
  }
  return { turns, errors }
}

function middle(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  return `${sorted[Math.floor(sorted.length / 2)]?.toFixed(0)} (at most ${sorted.at(-1)?.toFixed(0)})`
}

// Measures whether deleting slows down over time: the last batches of a purge beside its first, with and without a
// transaction that holds an old snapshot, for then dead rows cannot be cleared away on the way.
//
//   npm run build && node scripts/bench-purge-over-time.js            5,000,000 rows to delete, of 6,000,000
//   npm run build && node scripts/bench-purge-over-time.js 500000     another number
//
// Beside them, the loop that everybody writes first: delete … where id in (select … order by … limit 5000).

import pg from 'pg'
import { purge } from '../build/engine/commands/purge.js'
import { carryOut } from '../build/engine/run.js'
import { onOwnServer, quietly } from './bench/ground.js'

const ROWS = Number(process.argv[2] ?? 5_000_000)
const OLD = "created_at < timestamptz '2026-01-01'"
const PAGE = 5_000
/** Of the loop: where it has become slow there is no need to see it to its end. */
const LONGEST_S = 120

let ground

async function fill() {
  await ground.client.query('drop table if exists event; drop schema if exists ebb cascade')
  await ground.client.query(`
    create table event (id bigint primary key, created_at timestamptz not null, kind int, payload text);
    insert into event select n, timestamptz '2026-01-01' - (${ROWS} - n + 1) * interval '1 s', n % 7, repeat('x', 60)
      from generate_series(1, ${Math.round(ROWS * 1.2)}) n;
    create index event_created_at on event (created_at)`)
  await ground.client.query('vacuum (analyze) event')
  await ground.client.query('checkpoint')
}

async function byEbb(orderBy) {
  const request = {
    rows: { kind: 'matching', where: OLD },
    orderBy,
    allRows: false,
    vacuum: false,
    noArchive: true,
    cascade: false,
    protect: [],
    accept: [],
  }
  await carryOut(ground.url, { schema: 'public', name: 'event' }, purge, request, quietly)
  const { rows } = await ground.client.query('select rows::int, milliseconds from ebb.purge_batch order by number')
  return rows
}

async function byLoop() {
  const batches = []
  const began = performance.now()
  for (;;) {
    const batchBegan = performance.now()
    const { rowCount } = await ground.client.query(
      `delete from event where id in (select id from event where ${OLD} order by created_at limit ${PAGE})`,
    )
    if (rowCount === 0 || performance.now() - began > LONGEST_S * 1000) return batches
    batches.push({ rows: rowCount, milliseconds: performance.now() - batchBegan })
  }
}

/** Microseconds a row, of the first and of the last tenth of the rows that went. */
function tenths(batches) {
  const gone = batches.reduce((sum, { rows }) => sum + rows, 0)
  const part = (list) => {
    let [rows, milliseconds] = [0, 0]
    for (const batch of list) {
      if (rows >= gone / 10) break
      rows += batch.rows
      milliseconds += batch.milliseconds
    }
    return (milliseconds * 1000) / rows
  }
  return { gone, first: part(batches), last: part(batches.toReversed()) }
}

const WAYS = {
  'ebb purge, block after block': () => byEbb(null),
  'ebb purge --order-by created_at': () => byEbb('created_at'),
  'a loop with order by and limit': byLoop,
}

async function tryWay(name, way, snapshot) {
  await fill()
  const holder = new pg.Client({ connectionString: ground.url })
  await holder.connect()
  try {
    if (snapshot) await holder.query('begin isolation level repeatable read; select count(*) from pg_class')
    const began = performance.now()
    const batches = await way()
    const seconds = (performance.now() - began) / 1000
    const { gone, first, last } = tenths(batches)
    const slowest = Math.max(...batches.map(({ milliseconds }) => milliseconds))
    const figures = [
      gone.toLocaleString('en-US'),
      seconds.toFixed(1),
      first.toFixed(2),
      last.toFixed(2),
      slowest.toFixed(0),
    ]
    console.log(`| ${[name, ...figures].join(' | ')} |`)
  } finally {
    await holder.end()
  }
}

await onOwnServer(async (own) => {
  ground = own
  for (const snapshot of [false, true]) {
    console.log(
      `\n${snapshot ? 'An old snapshot is held' : 'No old snapshot'}, ${ROWS.toLocaleString('en-US')} rows to go\n`,
    )
    console.log(
      '| way | rows gone | s | µs a row, first tenth | last tenth | slowest batch, ms |\n| --- | --- | --- | --- | --- | --- |',
    )
    for (const [name, way] of Object.entries(WAYS)) await tryWay(name, way, snapshot)
  }
})

// Measures whether time per row and locks stay the same as the table grows: each command on a table, and on one that is ten
// times as large.
//
//   npm run bench:scale                       5,000,000 and 50,000,000 rows; the larger one needs about 30 GB of disk
//   npm run bench:scale -- 100000 1000000     fewer
//
// The commands are run as one starts them. Rows come in the order of their time, over 300 days. Each command begins after a
// checkpoint; the vacuum after the purge is left out.

import { onOwnServer, program } from './bench/ground.js'
import { ebb } from './bench/process.js'
import { busyShare, disturbances } from './bench/quiet.js'

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [5_000_000, 50_000_000]
/** Of the larger size, time per row compared with the smaller one. */
const MOST = 1.15
let ground

async function fill(rows) {
  console.log(`filling ${rows.toLocaleString('en-US')} rows`)
  await ground.client.query('drop table if exists t, r cascade; drop schema if exists ebb cascade')
  await ground.client.query(`
    create table t (id bigint generated always as identity, created_at timestamptz not null, kind int not null, payload text not null);
    insert into t (created_at, kind, payload)
      select now() - interval '300 days' + n * (interval '300 days' / ${rows}), n % 20, md5(n::text) || repeat('x', 60)
      from generate_series(1, ${rows}) n;
    alter table t add primary key (id);
    create index on t (created_at);
    create table r (like t) partition by range (created_at);
    create table r_old partition of r for values from ('2020-01-01') to ('2020-02-01');
    insert into r_old select id, timestamptz '2020-01-02', kind, payload from t where id <= ${rows / 10}`)
  await ground.client.query('vacuum (analyze)')
}

/** What the command takes, and the longest time for which it holds the locks that others wait for. */
async function measure(...words) {
  await ground.client.query('checkpoint')
  let lockedMs = 0
  const { seconds, wal } = await ground.measure(() =>
    ebb(ground.url, words, ({ type, lock }) => {
      if (type === 'step finished' && lock) lockedMs = Math.max(lockedMs, lock.heldMs)
    }),
  )
  return { seconds, wal, lockedMs }
}

const COMMANDS = [
  ['rotate, a tenth', () => measure('rotate', 'public.r', '--keep', '90 days', '--no-archive', '--accept', 'clock')],
  ['partition, attach', () => measure('partition', 'public.t', '--by', 'created_at', '--every', '1 month')],
  ['rollback of it', () => measure('rollback', 'public.t')],
  [
    'purge, a quarter',
    (rows) => measure('purge', 'public.t', '--where', `id <= ${rows / 4}`, '--no-archive', '--no-vacuum'),
  ],
  ['rebuild, a tenth kept', (rows) => measure('rebuild', 'public.t', '--keep', `id > ${rows * 0.9}`, '--no-archive')],
  ['retire', () => measure('retire', 'public.t')],
]

async function run(rows) {
  await fill(rows)
  const results = {}
  for (const [name, command] of COMMANDS) {
    const result = await command(rows)
    results[name] = result
    console.log(
      `${name.padEnd(22)} ${result.seconds.toFixed(2)} s, ${result.wal.toFixed(0)} MB WAL, locked ${result.lockedMs.toFixed(0)} ms`,
    )
  }
  return results
}

function report(small, large) {
  const times = sizes[1] / sizes[0]
  const [few, many] = sizes.map((rows) => rows.toLocaleString('en-US'))
  console.log(`\n| | ${few} rows | ${many} | time per row | locked, ms |\n|---|--:|--:|--:|--:|`)
  for (const [name] of COMMANDS) {
    const [one, other] = [small[name], large[name]]
    const perRow = other.seconds / one.seconds / times
    console.log(
      `| ${name} | ${one.seconds.toFixed(1)} s | ${other.seconds.toFixed(1)} s | ${perRow.toFixed(2)} | ${one.lockedMs.toFixed(0)}, ${other.lockedMs.toFixed(0)} |`,
    )
    if (perRow > MOST) process.exitCode = 1
  }
}

if (program('postgres') === null) throw new Error('it needs the programs of a PostgreSQL: EBB_BENCH_PG=<folder>')
await onOwnServer(async (server) => {
  ground = server
  const busy = [await busyShare()]
  const [small, large] = [await run(sizes[0]), await run(sizes[1])]
  busy.push(await busyShare())
  report(small, large)
  for (const reason of disturbances(busy, {})) console.log(`The machine was not quiet: ${reason}`)
})

// A deploy pipeline, told with the package as it would be published, in a folder where it is installed:
//
//   node scripts/check-pipeline.js <folder>
//
// Two deployments at once on a fresh database; one that is killed in the middle of a conversion, and the next one that
// goes on; and all the way back. It reads what `npm run build` has made, for a server of its own.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ebb as start, query, withServer } from './packaged.js'

const folder = process.argv[2]
const migrations = join(folder, 'ebb-migrations')
mkdirSync(migrations)
writeFileSync(
  join(migrations, '1-retention.mjs'),
  `export async function up({ context: { rebuild, partition } }) {
  await rebuild({ table: 'visits', keep: 'id > 100', noArchive: true })
  await partition({ table: 'events', by: 'at', every: 'month', keep: '90 days' })
}
export const down = ({ context: { rollback } }) => rollback()
`,
)
writeFileSync(join(migrations, '2-comment.sql'), `comment on table events is 'by month';\n`)
writeFileSync(join(migrations, '2-comment.down.sql'), `comment on table events is null;\n`)

await withServer(async (create) => {
  await onFresh(await database(create, 'fresh'))
  await onHalfMigrated(await database(create, 'half'))
})
console.log('a deploy pipeline works: two at once, killed in the middle, and back')

async function onFresh(url) {
  const both = await Promise.all([ebb(url, 'up', '--execute').ended, ebb(url, 'up', '--execute').ended])
  assert.deepEqual(
    both.map(({ code }) => code),
    [0, 0],
    both[0].printed + both[1].printed,
  )
  const idle = both.filter(({ printed }) => printed.includes('Nothing to do.'))
  assert.equal(idle.length, 1, 'one of them has found nothing to do')
  assert.match(idle[0].printed, /waiting: for ebb migrate \w+ \(backend \d+\), which is running migrations/)
  assert.deepEqual(await runs(url), ['rebuild done', 'partition done'])
}

async function onHalfMigrated(url) {
  const killed = ebb(url, 'up', '--execute')
  // The second step of the conversion: its first has been recorded.
  await killed.said(/step 3 of \d+: add CHECK/)
  killed.process.kill('SIGKILL')
  await killed.ended
  const status = await ebb(url, 'status').ended
  assert.match(
    status.printed,
    /1-retention +unfinished since .*\n +rebuild visits: done .*\n +partition events: unfinished/,
  )

  const next = await ebb(url, 'up', '--execute').ended
  assert.equal(next.code, 0, next.printed)
  assert.deepEqual(await runs(url), ['rebuild done', 'partition done'])
  assert.equal((await ebb(url, 'up', '--execute').ended).printed, 'Nothing to do.\n')

  for (const name of ['2-comment', '1-retention']) {
    const { code, printed } = await ebb(url, 'down', '--execute').ended
    assert.equal(code, 0, printed)
    assert.match(printed, new RegExp(`undone ${name}`))
  }
  const [row] = await query(
    url,
    `select relkind::text, (select count(*)::int from events) as events, (select count(*)::int from visits) as visits
     from pg_class where oid = 'events'::regclass`,
  )
  assert.deepEqual(row, { relkind: 'r', events: 500, visits: 500 })
}

/** A database with two tables, and its URL. */
async function database(create, name) {
  const url = await create(name)
  for (const table of ['events', 'visits'])
    await query(
      url,
      `create table ${table} (id bigint generated always as identity primary key, at timestamptz not null);
       insert into ${table} (at) select now() - n * interval '1 hour' from generate_series(500, 1, -1) n`,
    )
  return url
}

async function runs(url) {
  const rows = await query(url, `select command, status from ebb.run order by id`)
  return rows.map(({ command, status }) => `${command} ${status}`)
}

function ebb(url, ...words) {
  return start(folder, url, 'migrate', ...words)
}

// A table that got out of hand, told with the package as it would be published, in a folder where it is installed:
//
//   node scripts/check-rescue.js <folder>
//
// advise, rebuild, rollback, rebuild again, retire: while an application writes all the time. Afterwards every write that
// was acknowledged is there, and the rows that were left out are in the archive alone. It reads what `npm run build` has
// made, for a server of its own.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { done, query, withServer } from './packaged.js'

const folder = process.argv[2]
const ROWS = 20_000
const KEEP = "at >= now() - interval '30 days'"
const archive = join(folder, 'rescue-archive')
mkdirSync(archive)

await withServer(async (create) => {
  const url = await create('rescue')
  await query(
    url,
    `create table events (id bigint generated always as identity primary key, at timestamptz not null, note text not null);
     insert into events (at, note) select now() - n * interval '20 minutes', repeat('x', 100) from generate_series(${ROWS}, 1, -1) n;
     create index on events (at); analyze events`,
  )
  const application = await writing(url)
  try {
    await rescue(url)
  } finally {
    await application.stop()
  }
  await compare(url, application.truth)
})
console.log('a rescue works: advise, rebuild, rollback, rebuild, retire, under writes')

async function rescue(url) {
  const rebuild = ['rebuild', 'events', '--keep', KEEP, '--archive', archive]
  const advice = await done(folder, url, ['advise', 'events', '--keep', KEEP])
  assert.match(advice, /ebb rebuild public.events/)
  assert.match(await done(folder, url, rebuild), /nothing has been changed/i)
  const [before] = await query(url, `select 'events'::regclass::oid::int as oid`)
  await done(folder, url, [...rebuild, '--execute'])
  await done(folder, url, ['rollback', '--execute'])
  // The table that comes back is the one it was, with all that was written to the other one.
  assert.deepEqual(await query(url, `select 'events'::regclass::oid::int as oid`), [before])
  const [all] = await query(url, `select count(*)::int as old from events where not (${KEEP})`)
  assert.ok(all.old > ROWS / 2, `${all.old} old rows are back`)
  await done(folder, url, [...rebuild, '--execute'])
  await done(folder, url, ['retire', '--all', '--execute'])
  assert.match(await done(folder, url, ['status', '--exit-code']), /./)
}

/** Inserts, updates and deletes, one row at a time, and what the table holds of them according to the answers. */
async function writing(url) {
  const client = new pg.Client({ connectionString: url, application_name: 'application' })
  await client.connect()
  const truth = new Map()
  let going = true
  const loop = (async () => {
    for (let n = 0; going; n++) {
      const { rows } = await client.query(`insert into events (at, note) values (now(), $1) returning id`, [`new ${n}`])
      truth.set(rows[0].id, `new ${n}`)
      const ids = [...truth.keys()]
      const some = ids[(n * 7919) % ids.length]
      if (n % 5 === 0) {
        await client.query('delete from events where id = $1', [some])
        truth.delete(some)
      } else {
        await client.query('update events set note = $2 where id = $1', [some, `changed ${n}`])
        truth.set(some, `changed ${n}`)
      }
    }
  })()
  return {
    truth,
    async stop() {
      going = false
      await loop
      await client.end()
    },
  }
}

async function compare(url, truth) {
  const rows = await query(url, `select id, note from events where note !~ '^x' order by id`)
  assert.deepEqual(
    rows.map(({ id, note }) => [id, note]),
    [...truth].sort(([a], [b]) => Number(a) - Number(b)),
  )
  const [{ kept, old }] = await query(
    url,
    `select count(*) filter (where ${KEEP})::int as kept, count(*) filter (where at < now() - interval '31 days')::int as old
     from events where note ~ '^x'`,
  )
  assert.equal(old, 0)
  // What was archived by the run that was rolled back was never removed; the other archive has what is gone.
  const receipts = readdirSync(archive, { recursive: true }).filter((name) => name.endsWith('receipt.json'))
  const [last] = receipts.sort().reverse()
  await done(folder, url, ['restore', join(archive, last), '--into', 'public.back', '--hold', 'none', '--execute'])
  const [{ back, twice }] = await query(
    url,
    `select count(*)::int as back, count(*) filter (where id in (select id from events))::int as twice from back`,
  )
  assert.equal(twice, 0)
  assert.equal(kept + back, ROWS)
}

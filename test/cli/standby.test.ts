import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { inSnapshot } from '../../src/db/transaction.ts'
import { readPatiently } from '../../src/engine/locks/patiently.ts'
import { readOverview } from '../../src/engine/overview/overview.ts'
import { status } from '../../src/engine/runs/status.ts'
import { test } from '../support/database.ts'
import { startStandby } from '../support/standby.ts'
import { quietly } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { ebb } from './support.ts'

// What only reads works on a hot standby, whatever replay does meanwhile; what changes something says why it cannot.

test('on a standby the report, the status and the check are those of the primary', async ({ ownServer }) => {
  // Replay cancels nothing but what this test has cancelled.
  const { server, database } = await ownServer({ autovacuum: 'off' })
  const owner = await database.session('owner')
  await owner.query(`
    create table visits (at timestamptz not null) partition by range (at);
    create table mails (id int primary key); insert into mails select generate_series(1, 1000); analyze mails;
    do $$ declare month timestamp; begin
      for n in -4..0 loop
        month := date_trunc('month', now() at time zone 'UTC') + n * interval '1 month';
        execute format('create table visits_%s partition of visits for values from (%L) to (%L)', to_char(month, 'YYYY_MM'),
          month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
      end loop;
    end $$;
    insert into visits select now() - n * interval '1 hour' from generate_series(0, 2000) n; analyze visits`)
  const onPrimary = ['--url', database.url]
  expect(await ebb(['rotate', 'visits', ...onPrimary, '--keep', '40 days', '--no-archive', '--execute'])).toMatchObject(
    { code: 0 },
  )
  const purge = ['purge', 'mails', ...onPrimary, '--where', 'id < 500', '--no-archive', '--execute']
  expect(await ebb(purge)).toMatchObject({ code: 0 })

  const standby = await startStandby(server, { settings: { max_standby_streaming_delay: '0' } })
  const url = database.url.replace(`:${server.port}/`, `:${standby.port}/`)
  await until(async () => (await status(url, quietly())).runs.length > 0)

  const folder = await mkdtemp(join(tmpdir(), 'ebb-standby-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const config = join(folder, 'shop.json')
  await writeFile(config, JSON.stringify({ policies: { visits: { keep: '40 days', archive: 'none' } } }))
  const report = async (from: string, ...more: string[]) => {
    const html = join(folder, 'report.html')
    expect(await ebb(['report', '--html', html, '--url', from, ...more])).toMatchObject({ code: 0, err: '' })
    return readFile(html, 'utf8')
  }
  const tables = (page: string) => [...page.matchAll(/<table.*?<\/table>/gs)].map(([table]) => table)
  const page = await report(url)
  expect(page).toMatch(/PostgreSQL [^<]* \(a standby\)/)
  expect(tables(page).length).toBeGreaterThan(4)
  expect(tables(page)).toEqual(tables(await report(database.url)))
  for (const word of ['status', 'check'])
    expect(await ebb([word, '--url', url]), word).toEqual(await ebb([word, ...onPrimary]))
  expect(await ebb(['inspect', 'visits', '--url', url])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/written +not known on a replica\n[^]*Risks\n +- this server is a replica/) as string,
  })

  // With a config, rotations are planned, which a standby cannot carry out.
  expect(await report(url, '--config', config)).toMatch(/connected to a replica|this server is a replica/)
  expect((await ebb(['check', '--config', config, '--url', url])).out).toMatch(/blocked:replica/)
  expect(await ebb(['rotate', 'visits', '--no-archive', '--execute', '--url', url])).toMatchObject({ code: 3 })

  // A table that is locked on the primary is locked here, too; whoever waits is told why.
  const reasons: string[] = []
  await owner.query('begin; lock table visits in access exclusive mode')
  // The next commit sends it on.
  await database.admin('create table sent_on ()')
  const ended = { at: null as Promise<unknown> | null }
  const observer = (event: { readonly type: string; readonly reason?: string | null }) => {
    if (event.type !== 'waiting') return
    reasons.push(event.reason ?? '')
    ended.at ??= owner.query('commit')
  }
  await until(async () => {
    await readOverview(url, quietly({ observer }))
    return reasons.length > 0
  })
  await ended.at
  expect(reasons[0]).toMatch(
    /^for the lock on public\.visits.*: pid \d+, the replay .* lock that is held on the primary$/,
  )

  // A query in the way of replay is cancelled, and made again.
  let attempts = 0
  const read = readPatiently(url, 'test', quietly(), (session) =>
    inSnapshot(session, async () => {
      await session.query('select from public.mails')
      if (attempts++ === 0) {
        await owner.query('alter table mails add column more int')
        await session.query('select pg_sleep(600)')
      }
      return attempts
    }),
  )
  expect(await read).toBeGreaterThan(1)
})

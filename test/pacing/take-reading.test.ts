import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { openSession } from '../../src/db/session.ts'
import { DEFAULT_PACE } from '../../src/pacing/limits.ts'
import { takeReading } from '../../src/pacing/take-reading.ts'
import { WalWindow } from '../../src/pacing/wal-window.ts'
import { test, type Database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { folder } from './support.ts'

// What each signal looks like, to a role that may see all and to one that may see little.

const SUBJECT = { application: 'ebb test', tables: [{ schema: 'public', name: 'events' }] }
const never = new AbortController().signal

async function reader(url: string, subject: Partial<typeof SUBJECT> = {}) {
  const session = await openSession(url, 'test')
  const window = new WalWindow()
  return {
    read: () => takeReading(session, { ...SUBJECT, ...subject }, DEFAULT_PACE, window, never),
    end: () => session.end(),
  }
}

describe('an idle server', () => {
  test('is healthy', async ({ ownServer }) => {
    const { database } = await ownServer()
    const { read, end } = await reader(database.adminUrl)
    const reading = await read()
    await end()
    expect(reading).toMatchObject({
      blocked: [],
      replica: null,
      slot: null,
      wal: null,
      archiveBacklogBytes: null,
      active: 0,
      vacuum: 'none',
      healthSql: null,
      healthUrl: null,
      missing: {},
    })
    expect(Math.abs(Number(reading.at / 1000n) - Date.now())).toBeLessThan(10_000)
  })
})

describe('WAL', () => {
  test('is summed from one reading to the next', async ({ database }) => {
    const app = await database.session('app')
    const { read, end } = await reader(database.url)
    const first = await read()
    await app.query(`create table filler as select repeat('x', 1000) as x from generate_series(1, 20000)`)
    const second = await read()
    await end()
    expect(second.wal).toEqual({
      bytes: second.walPosition! - first.walPosition!,
      seconds: Number(second.at - first.at) / 1e6,
    })
    expect(second.walPosition! - first.walPosition!).toBeGreaterThan(20_000_000)
  })

  test('is retained by a slot, visible to every role', async ({ ownServer }) => {
    const { database } = await ownServer()
    await database.admin(`select pg_create_physical_replication_slot('forgotten', true)`)
    await database.admin(`create table public.filler as select repeat('x', 1000) as x from generate_series(1, 20000)`)
    const { read, end } = await reader(database.url)
    const { slot } = await read()
    await end()
    expect(slot!.name).toBe('forgotten')
    expect(slot!.bytes).toBeGreaterThan(20_000_000)
  })

  test('is retained by a failing archiver, which is reported until it has caught up', async ({ ownServer }) => {
    const works = await folder()
    const broken = join(works, 'missing')
    const { database } = await ownServer({ archive_mode: 'on', archive_command: `cp %p ${works}/%f` })
    await chmod(works, 0o777)
    const { read, end } = await reader(database.url)
    expect((await read()).missing['archive backlog']).toBe('no WAL has been archived yet')
    const fill = async () => {
      await database.admin('create table if not exists public.filler (x text)')
      await database.admin(`insert into public.filler select repeat('x', 1000) from generate_series(1, 1000)`)
      await database.admin('select pg_switch_wal()')
    }
    await fill()
    await until(async () => (await read()).archiveBacklogBytes === 0)

    await database.admin(`alter system set archive_command = 'cp %p ${broken}/%f'`)
    await database.admin('select pg_reload_conf()')
    await fill()
    await fill()
    await until(async () => ((await read()).archiveBacklogBytes ?? 0) >= 32 * 1024 * 1024)

    await mkdir(broken)
    await chmod(broken, 0o777)
    // A segment that is ready wakes the archiver; by itself it sleeps for a minute after failures.
    await fill()
    await until(async () => (await read()).archiveBacklogBytes === 0)
    await end()
  })
})

describe('other sessions', () => {
  test('are counted while active, and a role that cannot see them says so', async ({ ownServer, skip }) => {
    if (process.env.EBB_TEST_ROLE === 'superuser') skip('a superuser sees all of them')
    const { database } = await ownServer()
    const busy = await database.session('busy', { admin: true })
    await busy.query('select 1')
    const all = await reader(database.adminUrl)
    const some = await reader(database.url)
    const [reading, blind] = [await all.read(), await some.read()]
    const sleeping = busy.query('select pg_sleep(30)').catch(() => {})
    await until(async () => (await all.read()).active === 1)
    await database.terminate('busy')
    await sleeping
    await all.end()
    await some.end()

    expect(reading.active).toBe(0)
    expect(blind.active).toBeNull()
    expect(blind.missing['active sessions']).toMatch(/^without pg_read_all_stats/)
  })
})

describe('vacuum', () => {
  test('is seen on the table and its partitions only', async ({ ownServer }) => {
    const { database } = await ownServer()
    await partitionedEvents(database)
    const slow = await database.session('vacuum', { admin: true })
    await slow.query('set vacuum_cost_delay = 100; set vacuum_cost_limit = 1')
    const all = await reader(database.adminUrl)
    const elsewhere = await reader(database.adminUrl, { tables: [{ schema: 'public', name: 'other' }] })
    expect((await all.read()).vacuum).toBe('none')

    const vacuum = slow.query('vacuum public.events_1').catch(() => {})
    await until(async () => (await all.read()).vacuum === 'vacuum')
    expect((await elsewhere.read()).vacuum).toBe('none')
    await database.terminate('vacuum')
    await vacuum
    await all.end()
    await elsewhere.end()
  })

  test('to prevent wraparound is distinguished, also by a role that cannot see the process', async ({ ownServer }) => {
    const { database } = await ownServer({
      autovacuum_freeze_max_age: '100000',
      autovacuum_naptime: '1s',
    })
    await partitionedEvents(database)
    await database.admin(
      'alter table public.events_1 set (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)',
    )
    const all = await reader(database.adminUrl)
    const some = await reader(database.url)

    await database.admin(`do $$ begin for i in 1..100100 loop perform pg_current_xact_id(); commit; end loop; end $$`)
    await until(async () => (await all.read()).vacuum === 'wraparound')
    const blind = await some.read()
    await all.end()
    await some.end()
    expect(blind.vacuum).toBe('wraparound')
  })

  test('by a hidden process is reported as such', async ({ ownServer, skip }) => {
    if (process.env.EBB_TEST_ROLE === 'superuser') skip('a superuser sees all of them')
    const { database } = await ownServer()
    await partitionedEvents(database)
    const holder = await database.session('holder', { admin: true })
    const [all, some] = [await reader(database.adminUrl), await reader(database.url)]
    await holder.query('begin')
    await holder.query('lock table public.events_1 in share update exclusive mode')
    const [seeing, blind] = [await all.read(), await some.read()]
    await all.end()
    await some.end()

    expect(seeing.vacuum).toBe('none')
    expect(blind.vacuum).toBeNull()
    expect(blind.missing.vacuum).toMatch(/^without pg_read_all_stats/)
  })
})

async function partitionedEvents(database: Database): Promise<void> {
  const app = await database.session('setup')
  await app.query(`
    create table public.other (id int);
    create table public.events (id int, filler text) partition by range (id);
    create table public.events_1 partition of public.events for values from (0) to (1000000);
    insert into public.events select n, repeat('x', 500) from generate_series(1, 20000) n;
    delete from public.events where id % 2 = 0`)
}

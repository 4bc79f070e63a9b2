import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { backendPid } from '../../src/db/pooler.ts'
import { openSession, willBeCancelled, type Session, type Target } from '../../src/db/session.ts'
import { inTransaction } from '../../src/db/transaction.ts'
import { withSharedSessions } from '../../src/db/shared-sessions.ts'
import { Sockets } from '../../src/db/sockets.ts'
import { test, type Database } from '../support/database.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'

/** Opens a session, does something in it, ends it, and tells its backend. */
async function use(target: Target, work: (session: Session) => Promise<unknown> = () => Promise.resolve()) {
  const session = await openSession(target, 'first')
  const pid = await backendPid(session)
  await work(session)
  await session.end()
  return pid
}

const share = <T>(database: Database, work: (target: Target) => Promise<T>) => withSharedSessions(database.url, work)

describe('a session that was given back', () => {
  test('is handed on as a new one would be', async ({ database }) => {
    await share(database, async (target) => {
      const pid = await use(target, async (session) => {
        await session.query("set lock_timeout = '1h'; set synchronous_commit = off; set work_mem = '1GB'")
        await session.query('create temp table secret (id int); listen news; select pg_advisory_lock(7)')
        await session.query('declare c cursor with hold for select 1')
        session.on('notice', () => expect.unreachable('whoever listened has left'))
      })
      const next = await openSession(target, 'second')
      expect(await backendPid(next)).toBe(pid)
      const { rows } = await next.query(`
        select current_setting('lock_timeout') as locks, current_setting('synchronous_commit') as commits,
          current_setting('work_mem') <> '1GB' as memory,
          current_setting('search_path') as path, current_setting('application_name') as name,
          (select count(*)::int from pg_class where relname = 'secret') as temporary,
          (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locked,
          (select count(*)::int from pg_listening_channels()) as listening, (select count(*)::int from pg_cursors where is_holdable) as cursors`)
      expect(rows[0]).toEqual({
        ...{ locks: '500ms', commits: 'on', memory: true, path: '', name: 'ebb second' },
        ...{ temporary: 0, locked: 0, listening: 0, cursors: 0 },
      })
      await next.query(`set client_min_messages = notice; do $$ begin raise notice 'x'; end $$`)
      await next.end()
    })
    expect(await sessionsOf(database)).toEqual([])
  })

  test('has lost the name by which others see a run', async ({ database }) => {
    await share(database, async (target) => {
      await use(target)
      await sleep(100)
      expect(await sessionsOf(database)).toEqual(['ebb'])
    })
  })

  test.for([false, true])(
    'is of the same role and encoding, which defaults may set otherwise; through PgBouncer: %s',
    async (pooled, { database, needs }) => {
      const login = decodeURIComponent(new URL(database.url).username)
      const owner = await database.role('owner')
      await database.admin(`
        grant "${owner}" to "${login}";
        alter role "${login}" in database "${database.name}" set role = "${owner}";
        alter database "${database.name}" set client_encoding = 'LATIN1'`)
      const url = pooled ? await startPgBouncer(needs('pgbouncer'), database, 'session') : database.url
      const facts = `select pg_backend_pid() as pid, current_user as role, char_length('€') as euro,
        current_setting('client_encoding') as encoding`
      await withSharedSessions(url, async (target) => {
        const seen: unknown[] = []
        const look = async (session: Session) => void seen.push((await session.query<object>(facts)).rows[0])
        const pid = await use(target, look)
        await use(target, look)
        const expected = { pid, role: owner, euro: 1, encoding: 'UTF8' }
        expect(seen).toEqual([expected, expected])
      })
    },
  )

  test.for<[what: string, work: (session: Session, database: Database) => Promise<unknown>]>([
    ['a query has failed', (session) => session.query('select 1 / 0').catch(() => {})],
    ['a transaction is open', (session) => session.query('begin')],
    [
      'a query is running',
      async (session) => {
        session.query('select pg_sleep(60)').catch(() => {})
        await sleep(50)
      },
    ],
    [
      'a cancel may be on its way',
      (session) => {
        willBeCancelled(session)
        return Promise.resolve()
      },
    ],
  ])('is not handed on where %s', async ([, work], { database }) => {
    await share(database, async (target) => {
      const pid = await use(target, (session) => work(session, database))
      expect(await use(target)).not.toBe(pid)
    })
  })

  test('is replaced where the server has ended it', async ({ database }) => {
    await share(database, async (target) => {
      const pid = await use(target)
      await database.admin(`select pg_terminate_backend(${pid})`)
      expect(await use(target)).not.toBe(pid)
    })
  })

  test('belongs to whoever uses it: a run whose server is silent takes no other sessions with it', async ({
    database,
  }) => {
    await share(database, async (target) => {
      const [first, second] = [new Sockets(), new Sockets()]
      await use(first.through(target))
      const session = await openSession(second.through(target), 'second')
      first.destroy(new Error('silent'))
      await inTransaction(session, {}, async () => void (await session.query('select 1')))
      const waiting = session.query('select pg_sleep(60)')
      second.destroy(new Error('silent'))
      await expect(waiting).rejects.toThrow('silent')
      await session.end()
    })
  })
})

async function sessionsOf(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(
    `select application_name as name from pg_stat_activity where datname = current_database() and application_name like 'ebb%' order by 1`,
  )
  return rows.map(({ name }) => name)
}

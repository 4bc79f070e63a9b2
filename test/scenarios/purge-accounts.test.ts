import type pg from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { type PurgeResult } from '../../src/engine/commands/purge.ts'
import { EbbError } from '../../src/errors.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { parseTableName } from '../../src/sql/parse-name.ts'
import { ebb, objects } from '../cli/support.ts'
import { createAccounts, sizes } from '../support/accounts.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, purgeRequest } from '../support/purging.ts'
import { quietly } from '../support/tool.ts'
import { purge } from '../support/commands.ts'

// A compliance order: users who are gone, with all that refers to them, but for those who have paid.

const GONE = 'deleted_at is not null'

function purgeUsers(
  database: Database,
  request: Partial<PurgeRequest> = {},
  rows = 40,
  signal?: AbortSignal,
): Promise<PurgeResult> {
  const asked = purgeRequest(GONE, { cascade: true, protect: [parseTableName('payments')], ...request })
  const options = quietly(signal === undefined ? {} : { signal })
  return purge(database.url, parseTableName('users'), asked, { ...options, turns: batchesOf(rows) })
}

function words(database: Database, ...more: string[]): string[] {
  return ['purge', 'users', '--where', GONE, '--no-archive', ...more, '--url', database.url]
}

test('six tables in one order, the payments untouched, everything counted', async ({ database }) => {
  await createAccounts(database, 800)
  const app = await database.session('app')
  const { figures, remaining } = await purgeUsers(database)
  // Of 800 users 720 are gone; of those 20 have paid.
  expect(figures).toMatchObject({
    rows: 700,
    held: 20,
    tables: [
      { table: 'public.audit_logs', rows: 2800 },
      { table: 'public.payment_methods', rows: 300 },
      { table: 'public.subscriptions', rows: 233 },
      { table: 'public.user_profiles', rows: 700 },
      { table: 'public.user_sessions', rows: 1400 },
      { table: 'public.users', rows: 700 },
    ].map((table) => ({ ...table, rows: expect.any(Number) as number })),
    refused: [],
  })
  expect(remaining).toEqual({
    matching: 20,
    held: 20,
    reasons: [{ what: 'leading to rows of public.payments, which is protected', rows: 20 }],
  })
  const left = await sizes(app)
  expect(left).toMatchObject({
    users: 100,
    payments: 20,
    user_profiles: 100,
    user_sessions: 200,
    audit_logs: 400,
    invitations: 114,
  })
  const counted = Object.fromEntries(
    (figures?.tables ?? []).map(({ table, rows }) => [table.slice('public.'.length), rows]),
  )
  expect(counted).toEqual({
    users: 700,
    user_profiles: 700,
    user_sessions: 1400,
    audit_logs: 2800,
    subscriptions: 266 - (left['subscriptions'] ?? 0),
    payment_methods: 400 - (left['payment_methods'] ?? 0),
  })
  expect(figures?.changed).toEqual([{ table: 'public.invitations', rows: expect.any(Number) as number }])
})

test('also along an index', async ({ database }) => {
  await createAccounts(database, 400)
  const { plan, figures, remaining } = await purgeUsers(database, { orderBy: 'id' }, 30)
  expect(plan.purge?.leaves.map(({ walk }) => walk.kind)).toEqual(['key'])
  expect(figures).toMatchObject({ rows: 350, held: 10 })
  expect(remaining).toMatchObject({ matching: 10, held: 10 })
})

test('resumes after a stop, with a consistent journal', async ({ database }) => {
  await createAccounts(database, 800)
  const app = await database.session('app')
  const stop = new AbortController()
  const stopped = purgeUsers(database, {}, 10, stop.signal).catch((error: unknown) => error)
  for (;;) {
    const { rows } = await app.query<{ n: number }>('select count(*)::int as n from users')
    if ((rows[0]?.n ?? 0) < 700) break
    await sleep(5)
  }
  stop.abort()
  expect(await stopped).toBeInstanceOf(EbbError)
  const { figures, remaining } = await purgeUsers(database, {}, 10)
  expect(figures?.rows).toBe(700)
  expect(figures?.tables.find(({ table }) => table === 'public.audit_logs')?.rows).toBe(2800)
  expect(remaining?.matching).toBe(20)
})

test('while the application works on all tables', async ({ database }) => {
  await createAccounts(database, 2000)
  const app = await Traffic.start(database, 2000)
  const { figures, remaining } = await purgeUsers(database, {}, 60)
  const { errors, paid, statements } = await app.stop()
  expect(errors).toEqual([])
  expect(statements).toBeGreaterThan(100)
  const client = await database.session('looks')
  const { rows } = await client.query<{ id: number }>(
    `select distinct m.user_id as id from payments p join payment_methods m on m.id = p.payment_method_id order by 1`,
  )
  expect(
    rows.map(({ id }) => id),
    'every payment that was acknowledged',
  ).toEqual(expect.arrayContaining(paid))
  const orphans = await client.query(`select from users u where ${GONE} and not exists (
    select from payment_methods m join payments p on p.payment_method_id = m.id where m.user_id = u.id)`)
  expect(orphans.rowCount).toBe(0)
  expect(remaining?.matching).toBe(remaining?.held)
  expect(figures?.refused).toEqual([])
})

describe('before anything is changed', () => {
  test('the plan shows the tree, the order, and the counts', async ({ database }) => {
    await createAccounts(database, 100)
    const { code, out } = await ebb(words(database, '--cascade', '--protect', 'payments'))
    expect(code).toBe(0)
    const text = out.replace(/\n-- +/g, ' ')
    expect(text).toContain('← public.user_sessions (user_id), on delete no action: its rows are deleted too')
    expect(text).toContain('← public.payments (payment_method_id), on delete no action: protected')
    expect(text).toContain('← public.invitations (invited_by), on delete set null: PostgreSQL sets the column to null')
    expect(text).toMatch(/public\.audit_logs → .*public\.user_sessions → .*public\.users/)
    for (const table of ['users', 'audit_logs', 'invitations', 'user_profiles'])
      expect(out).toContain(`vacuum (analyze, truncate false, skip_locked) "public"."${table}"`)
    expect(out).not.toContain('vacuum (analyze, truncate false, skip_locked) "public"."payments"')
  })

  test.for([
    ['rows that would go in silence', [], /cascade:public\.user_profiles\..*on delete cascade/],
    ['a table that nothing leads to', ['--cascade', '--protect', 'ebb_nothing'], /protect:public\.ebb_nothing/],
    ['the table itself protected', ['--cascade', '--protect', 'users'], /protect-root/],
  ] as const)('%s', async ([, more, message], { database }) => {
    await createAccounts(database, 40)
    await database.admin('create table ebb_nothing (id int)')
    const { code, out } = await ebb(words(database, ...more, '--execute'))
    expect(code).toBe(3)
    expect(out.replace(/\n-- +/g, ' ')).toMatch(message)
    expect((await database.admin('select from users')).rowCount).toBe(40)
  })

  test('a missing privilege to delete from a child', async ({ database }) => {
    await createAccounts(database, 40)
    const role = await database.role('clerk')
    await database.admin(
      `grant select, delete, update on users, subscriptions, user_profiles, payment_methods, payments to ${role};
       grant select on user_sessions, audit_logs, invitations to ${role}; grant create on database ${database.name} to ${role}`,
    )
    const { code, out } = await ebb([
      ...words(database, '--cascade', '--protect', 'payments', '--execute').slice(0, -1),
      database.urlFor(role),
    ])
    expect(code).toBe(3)
    expect(out).toContain('no-delete:public.user_sessions')
    expect(out).toContain('grant select, delete on "public"."user_sessions"')
    expect((await database.admin('select from users')).rowCount).toBe(40)
  })

  test('a missing index is measured, reported with its fix, and can be accepted', async ({ database }) => {
    await createAccounts(database, 40)
    await database.admin(`
      drop index audit_logs_session_id_idx; alter table audit_logs alter what set default 'x';
      insert into audit_logs (session_id) select (random() * 79)::int + 1 from generate_series(1, 300000); analyze audit_logs`)
    const asked = words(database, '--cascade', '--protect', 'payments', '--no-vacuum')
    const { code, out } = await ebb([...asked, '--execute'])
    expect(code).toBe(3)
    const text = out.replace(/\n-- +/g, ' ')
    expect(text).toMatch(
      /no index of public\.audit_logs begins with session_id, so each row deleted from public\.user_sessions costs [\d.]+ ms/,
    )
    expect(text).toContain('create index concurrently on "public"."audit_logs" ("session_id");')
    const accepted = await ebb([
      ...asked,
      '--accept',
      'unindexed:public.audit_logs.audit_logs_session_id_fkey',
      '--execute',
    ])
    expect(accepted.code, accepted.err).toBe(0)
    expect((await database.admin(`select from users where ${GONE}`)).rowCount).toBe(1)
  })
})

test('the final report says which rows were kept, and why', async ({ database }) => {
  await createAccounts(database, 80)
  const done = await ebb(words(database, '--cascade', '--protect', 'payments', '--execute'))
  expect(done.code, done.err).toBe(0)
  expect(done.out).toContain('public.users is purged of 70 rows')
  expect(done.out).toMatch(/rows of public\.audit_logs +280/)
  expect(done.out).toMatch(/rows of public\.invitations changed +\d+/)
  expect(done.out).toContain('skipped, leading to rows of public.payments, which is protected: 2 rows')
  const again = await ebb([...words(database, '--cascade', '--protect', 'payments', '--execute'), '--json'])
  expect(again.code).toBe(0)
  expect(JSON.stringify(objects(again.out))).toContain('"held":2')
})

test('and so for candidates', async ({ database }) => {
  await createAccounts(database, 80)
  const at = ['--url', database.url, '--execute']
  expect((await ebb(['purge', 'users', '--where', GONE, '--candidates', ...at])).code).toBe(0)
  await database.admin('update users set deleted_at = null where id in (11, 12, 13)')
  await database.admin('delete from user_profiles where user_id = 14')
  const from = ['purge', '--from-candidates', '1', '--cascade', '--protect', 'payments', '--no-archive']
  const done = await ebb([...from, ...at])
  expect(done.code, done.err).toBe(0)
  expect(done.out).toContain('public.users is purged of 67 rows')
  expect(done.out.slice(done.out.indexOf('Of the candidates')).trimEnd().split('\n')).toEqual([
    'Of the candidates',
    '  changed since they were recorded, and kept: 3 rows',
    '  skipped, leading to rows of public.payments, which is protected: 2 rows',
  ])
})

/** An application of several sessions: it works on users who stay, and tries to let some who are gone pay once more. */
class Traffic {
  readonly errors: unknown[] = []
  readonly paid: number[] = []
  statements = 0
  private going = true
  private readonly loops: Promise<void>[]

  private constructor(sessions: readonly pg.Client[], users: number) {
    this.loops = sessions.map((client, n) => this.work(client, n, users))
  }

  static async start(database: Database, users: number): Promise<Traffic> {
    const sessions = await Promise.all([1, 2, 3].map((n) => database.session(`app ${n}`)))
    return new Traffic(sessions, users)
  }

  async stop(): Promise<this> {
    this.going = false
    await Promise.all(this.loops)
    return this
  }

  private async work(client: pg.Client, n: number, users: number): Promise<void> {
    for (let beat = 0; this.going; beat++) {
      const live = (((beat * 7 + n) % (users / 10)) + 1) * 10
      const dead = ((beat * 37 + n * 13) % (users / 2)) * 2 + 2
      await this.attempt(() => this.live(client, live, dead))
      if (dead % 10 !== 0) await this.attempt(() => this.pay(client, dead))
      await sleep(2)
    }
  }

  private async attempt(step: () => Promise<void>): Promise<void> {
    try {
      await step()
      this.statements += 1
    } catch (error) {
      this.errors.push(error)
    }
  }

  private async live(client: pg.Client, live: number, dead: number): Promise<void> {
    await client.query('begin')
    await client.query('update user_sessions set seen_at = now() where user_id = $1', [live])
    await client.query('insert into audit_logs (session_id, user_id, what) values ($1, $2, $3)', [live * 2, live, 'x'])
    // The opposite order to the purge: a child first, then the user.
    await client.query('update audit_logs set what = $2 where session_id = $1', [dead * 2, 'seen'])
    await client.query('update users set email = $2 where id = $1', [dead, 'masked'])
    await client.query('commit')
  }

  private async pay(client: pg.Client, user: number): Promise<void> {
    try {
      await client.query('insert into payments (payment_method_id, amount) values ($1, 1)', [user])
      this.paid.push(user)
    } catch (error) {
      // The user and what he paid with have gone before.
      if ((error as { code?: string }).code !== '23503') throw error
    }
  }
}

import type pg from 'pg'
import type { Request } from './steady-traffic.ts'

/** What the application has had confirmed, to be found again afterwards. */
export interface Confirmed {
  /** Rows that it has added, by table. */
  readonly added: Record<string, number>
  /** Users who were gone, and have come back. */
  readonly returned: Set<number>
  /** Users who were gone, and have paid once more. */
  readonly paid: Set<number>
}

/** Where the ids begin that the application gives. */
const NEW = 100_000_000

/**
 * What users and the office do, on all tables of `createAccounts`: most with
 * users who are active, some with those who are gone, and not in the order in
 * which a purge goes.
 */
export function accountsTraffic(users: number): {
  readonly requests: readonly Request[]
  readonly confirmed: Confirmed
} {
  const confirmed: Confirmed = { added: {}, returned: new Set(), paid: new Set() }
  const active = (n: number) => (((n * 7) % Math.floor(users / 10)) + 1) * 10
  const gone = (n: number) => ((n * 7919) % Math.floor(users / 10)) * 10 + 4
  const add = async (client: pg.Client, table: string, statement: string, values: unknown[]): Promise<number> => {
    const { rowCount } = await client.query(`insert into ${table} ${statement}`, values)
    confirmed.added[table] = (confirmed.added[table] ?? 0) + (rowCount ?? 0)
    return rowCount ?? 0
  }
  const together =
    (steps: Request): Request =>
    async (client, n) => {
      await client.query('begin')
      await steps(client, n)
      await client.query('commit')
    }
  const signIn = together(async (client, n) => {
    await add(client, 'user_sessions', 'values ($1, $2, now())', [NEW + n, active(n)])
    await add(client, 'audit_logs', '(session_id, user_id, what) values ($1, $2, $3)', [
      NEW + n,
      active(n),
      'signed in',
    ])
  })
  const subscribe = together(async (client, n) => {
    await add(client, 'subscriptions', 'values ($1, $2)', [NEW + n, active(n)])
    await add(client, 'payment_methods', 'values ($1, $2, $1)', [NEW + n, active(n)])
    await add(client, 'payments', '(payment_method_id, amount) values ($1, 9.99)', [NEW + n])
  })
  const look: Request = async (client, n) => {
    await client.query(
      `select u.email, p.bio, count(s.id), count(a.id) from users u join user_profiles p on p.user_id = u.id
         left join user_sessions s on s.user_id = u.id left join audit_logs a on a.session_id = s.id
       where u.id = $1 group by 1, 2`,
      [active(n)],
    )
  }
  const edit: Request = async (client, n) => {
    await client.query(`update user_profiles set bio = 'edited' where user_id = $1`, [active(n)])
  }
  const invite: Request = async (client, n) => {
    await add(client, 'invitations', 'values ($1, $2)', [NEW + n, active(n)])
  }
  // First a child of a user who is gone, then the user: the opposite of what a purge does.
  const mask = together(async (client, n) => {
    await client.query(
      `update audit_logs set what = 'masked' where session_id in (select id from user_sessions where user_id = $1)`,
      [gone(n)],
    )
    await client.query('select from users where id = $1 for update', [gone(n)])
  })
  const comeBack: Request = async (client, n) => {
    const { rowCount } = await client.query('update users set deleted_at = null where id = $1', [gone(n)])
    if (rowCount === 1) confirmed.returned.add(gone(n))
  }
  const payOnceMore: Request = async (client, n) => {
    const user = gone(n) + 2
    const method = 'select id, 5 from payment_methods where user_id = $1 for key share'
    const paid = await add(client, 'payments', `(payment_method_id, amount) ${method}`, [user])
    if (paid > 0) confirmed.paid.add(user)
  }
  const usual = [signIn, look, edit, subscribe, look, invite, mask, look]
  return { requests: [...usual, ...usual, ...usual, comeBack, ...usual, payOnceMore], confirmed }
}

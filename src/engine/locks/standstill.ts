import { ownPorts } from '../../db/own-ports.ts'
import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { sql, type Sql } from '../../sql/sql.ts'

// A migration framework keeps a connection of its own while it calls us: in a transaction that may hold a lock on the
// table, or with the lock that lets one deployment migrate at a time. If we wait for that connection, or for a session
// that waits for it (the next deployment, whose snapshot an index build waits for), nothing ever ends. PostgreSQL
// cannot see that: to it, that connection is idle.

/** How long such a wait must last: a transaction of this process may be another one than that of the call. */
const SURE_AFTER_MS = 10_000
/** Where it cannot be told which connections are this process's, any of the same user and address may be. */
const LIKELY_AFTER_MS = 60_000
/** Looking locks the server's tables of locks for a moment. */
const LOOK_EVERY_MS = 1_000

/** A session in a chain: each waits for the next. */
interface Link {
  readonly pid: number
  readonly who: string
}

/** Notices that we wait for the connection that we are called from. */
export class Standstill {
  private readonly session: Session
  private readonly sureAfterMs: number
  private lookedAt = performance.now()
  private since: number | null = null
  private chain = ''
  private ports: Promise<readonly number[] | null> | undefined

  /** `session` has been opened by this call, and is free to ask. */
  constructor(session: Session, { standstillMs = SURE_AFTER_MS }: { readonly standstillMs?: number } = {}) {
    this.session = session
    this.sureAfterMs = standstillMs
  }

  /**
   * To be called repeatedly while we wait for these sessions.
   *
   * @throws {StandstillError} when they will not end before us
   */
  async look(pids: readonly (number | null)[]): Promise<void> {
    const now = performance.now()
    if (now - this.lookedAt < Math.min(LOOK_EVERY_MS, this.sureAfterMs)) return
    this.lookedAt = now
    this.ports ??= readOwnPorts(this.session)
    const ports = await this.ports
    const links = await readChain(this.session, pids, ports)
    const chain = links.map(({ pid }) => pid).join()
    if (chain === '' || chain !== this.chain) this.since = chain === '' ? null : now
    this.chain = chain
    const afterMs = ports === null ? (this.sureAfterMs * LIKELY_AFTER_MS) / SURE_AFTER_MS : this.sureAfterMs
    if (this.since !== null && now - this.since >= afterMs) throw new StandstillError(links, ports !== null)
  }
}

/** Null where they cannot be told: not even the connection that asks is among them. */
async function readOwnPorts(session: Session): Promise<readonly number[] | null> {
  const { port } = await readOne<{ port: number | null }>(session, sql`select inet_client_port() as port`)
  const ports = await ownPorts()
  return port !== null && ports.has(port) ? [...ports] : null
}

/** The shortest chain from one of these sessions to one that has been idle since before the call. Itself comes last. */
async function readChain(
  session: Session,
  pids: readonly (number | null)[],
  ports: readonly number[] | null,
): Promise<readonly Link[]> {
  const ofThisProcess: Sql = ports === null ? sql`true` : sql`a.client_port = any (${ports}::int[])`
  return readAll<Link>(
    session,
    sql`
    with recursive waited (pid, path) as (
      select pid, array[pid] from unnest(${pids}::int[]) pid where pid is not null
      union all
      select b.pid, path || b.pid from waited cross join lateral unnest(pg_blocking_pids(waited.pid)) b (pid)
      where b.pid <> all (path) and cardinality(path) < 5
    ), chain as (
      select path from waited join pg_stat_activity a using (pid) join pg_stat_activity me on me.pid = pg_backend_pid()
      where a.state like 'idle%' and a.state_change < me.backend_start and a.usesysid = me.usesysid
        and a.client_addr is not distinct from me.client_addr and ${ofThisProcess}
      order by cardinality(path) limit 1
    )
    select pid, format('pid %s (%s), %s for %s s: %s', pid, concat_ws(', ', nullif(application_name, ''), usename),
      case when state = 'active' and wait_event_type = 'Lock' then 'waiting for a lock' else coalesce(state, 'busy') end,
      extract(epoch from clock_timestamp() - coalesce(xact_start, state_change))::int, left(regexp_replace(query, '\\s+', ' ', 'g'), 120)) as who
    from chain cross join lateral unnest(path) with ordinality p (pid, position) join pg_stat_activity using (pid)
    order by position`,
  )
}

const SWITCHES =
  'knex: config = { transaction: false }; node-pg-migrate: pgm.noTransaction(); Kysely: disableTransactions; TypeORM: transaction = false'

/** We wait for the connection that we are called from, and it for us. */
export class StandstillError extends EbbError {
  constructor(links: readonly Link[], sure: boolean) {
    const [first, ...others] = links.map(({ who }) => who)
    const whose = sure ? 'a connection of this process' : 'a connection of this user from this address'
    const chain = [`this call waits for ${first}`, ...others.map((who) => `that for ${who}`)].join('; ')
    const own = others.length === 0
    super(
      `${chain}. It is ${whose}, and idle since before the call: if it waits for the call, none of them ever ends`,
      {
        state: 'This step has changed nothing; the steps before it are kept.',
        next: own
          ? `Do not call Ebb inside a transaction. Migration frameworks have a switch for it (${SWITCHES}). Then run the same again: it resumes from here.`
          : 'Another deployment probably waits for the migration lock that this one holds. Now that this one has ended, the other one resumes from here; or run the same again after it.',
      },
      own && sure ? 'failed' : 'try later',
    )
  }
}

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { reasonOf } from '../errors.ts'
import type { Shop } from './setup.ts'

// The application: sessions that write and read all the time, each a statement
// every few milliseconds, and note how long the answers took. Nothing is tried
// again, so whatever the server refuses is counted.

/** What the application met with. */
export interface TrafficReport {
  readonly sessions: number
  readonly statements: number
  /** Rows whose insert the server has confirmed. */
  readonly written: { readonly events: number; readonly pageViews: number }
  /** One message each. */
  readonly errors: readonly string[]
  /** Seen by the application, so that a busy machine counts, too. */
  readonly longestWaitMs: number
  readonly p99Ms: number
}

type Table = keyof TrafficReport['written']

/** One session and what it does again and again. */
interface Habit {
  readonly name: string
  readonly url: string
  /** Where its statement puts a row; a reader has none. */
  readonly writes: Table | null
  readonly statement: () => string | pg.QueryConfig
}

const PAUSE_MS = 5

/** Connects all sessions and sets them going. */
export async function startTraffic(shop: Shop): Promise<Traffic> {
  const traffic = new Traffic()
  try {
    for (const habit of habitsIn(shop)) await traffic.begin(habit)
    return traffic
  } catch (error) {
    await traffic.stop()
    throw error
  }
}

/** The application at work. */
class Traffic {
  private readonly stopping = new AbortController()
  private readonly loops: Promise<void>[] = []
  private readonly waits: RecordableHistogram = createHistogram()
  private readonly written = { events: 0, pageViews: 0 }
  private readonly errors: string[] = []

  /** Adds a session; `startTraffic` is what callers want. */
  async begin(habit: Habit): Promise<void> {
    const client = new pg.Client({ connectionString: habit.url, application_name: `demo ${habit.name}` })
    client.on('error', () => {}) // the next statement tells
    await client.connect()
    this.loops.push(this.goOn(client, habit))
  }

  /** How it has gone so far. */
  report(): TrafficReport {
    const { count, max } = this.waits
    return {
      sessions: this.loops.length,
      statements: count,
      written: { ...this.written },
      errors: [...this.errors],
      longestWaitMs: count === 0 ? 0 : max / 1000,
      p99Ms: this.waits.percentile(99) / 1000,
    }
  }

  /** Lets the statements under way finish, and tells how it went. */
  async stop(): Promise<TrafficReport> {
    this.stopping.abort()
    await Promise.all(this.loops)
    return this.report()
  }

  private async goOn(client: pg.Client, habit: Habit): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted) {
      await this.once(client, habit)
      await setTimeout(PAUSE_MS, undefined, { signal }).catch(() => {})
    }
    await client.end()
  }

  private async once(client: pg.Client, { name, statement, writes }: Habit): Promise<void> {
    const began = performance.now()
    try {
      await client.query(statement())
      if (writes !== null) this.written[writes] += 1
    } catch (error) {
      this.errors.push(`${name}: ${reasonOf(error)}`)
    }
    // In microseconds; the histogram takes whole numbers from 1 on.
    this.waits.record(Math.max(1, Math.round((performance.now() - began) * 1000)))
  }
}

// Statements travel in all three ways that clients have: as plain text, with parameters, and prepared.
function habitsIn({ url, reportingUrl }: Shop): Habit[] {
  let n = 0
  const user = () => 1 + (n++ % 1000)
  const insertEvent = 'insert into events (user_id, kind, amount) values ($1, $2, 1) returning id, kind'
  return [
    {
      name: 'orders',
      url,
      writes: 'events',
      statement: () => ({ name: 'order', text: insertEvent, values: [user(), 'ORDER'] }),
    },
    {
      name: 'clicks',
      url,
      writes: 'events',
      statement: () => `insert into events (user_id, kind) values (${user()}, 'click')`,
    },
    {
      name: 'pages',
      url,
      writes: 'pageViews',
      statement: () => ({ text: 'insert into page_views (path) values ($1)', values: [`/page/${user()}`] }),
    },
    {
      name: 'newest events',
      url,
      writes: null,
      statement: () => ({ name: 'newest', text: 'select * from events order by created_at desc limit 20' }),
    },
    {
      name: 'reporting',
      url: reportingUrl,
      writes: null,
      statement: () => 'select kind, created_at from recent_events order by created_at desc limit 20',
    },
    {
      name: 'page views',
      url,
      writes: null,
      statement: () => "select count(*) from page_views where viewed_at > now() - interval '1 second'",
    },
  ]
}

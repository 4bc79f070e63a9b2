import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { messageOf } from '../errors.ts'
import type { Shop } from './setup.ts'

// The application: sessions that write and read all the time, each a statement every few milliseconds, and measure
// the response times. Nothing is retried, so every error of the server is counted.

/** What the application experienced. */
export interface TrafficReport {
  readonly sessions: number
  readonly statements: number
  /** Rows whose insert the server has confirmed. */
  readonly written: { readonly events: number; readonly pageViews: number }
  /** One message each. */
  readonly errors: readonly string[]
  /** As seen by the application, so a busy machine counts too. */
  readonly longestWaitMs: number
  readonly p99Ms: number
}

type Table = keyof TrafficReport['written']

/** One session and the statement it repeats. */
interface Habit {
  readonly name: string
  readonly url: string
  /** The table its statement inserts into; a reader has none. */
  readonly writes: Table | null
  readonly statement: () => string | pg.QueryConfig
}

const PAUSE_MS = 5

/** Connects all sessions and starts them. */
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

/** The running application. */
class Traffic {
  private readonly stopping = new AbortController()
  private readonly loops: Promise<void>[] = []
  private readonly waits: RecordableHistogram = createHistogram()
  private readonly written = { events: 0, pageViews: 0 }
  private readonly errors: string[] = []

  /** Adds a session; callers use `startTraffic`. */
  async begin(habit: Habit): Promise<void> {
    const client = new pg.Client({ connectionString: habit.url, application_name: `demo ${habit.name}` })
    client.on('error', () => {}) // the next statement reports it
    await client.connect()
    this.loops.push(this.repeat(client, habit))
  }

  /** The figures so far. */
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

  /** Waits for the running statements, and returns the figures. */
  async stop(): Promise<TrafficReport> {
    this.stopping.abort()
    await Promise.all(this.loops)
    return this.report()
  }

  private async repeat(client: pg.Client, habit: Habit): Promise<void> {
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
      this.errors.push(`${name}: ${messageOf(error)}`)
    }
    // In microseconds; the histogram takes integers from 1.
    this.waits.record(Math.max(1, Math.round((performance.now() - began) * 1000)))
  }
}

// Statements use all three protocols of clients: simple, with parameters, and prepared.
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

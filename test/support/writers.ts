import { randomUUID } from 'node:crypto'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { parse } from 'libpg-query'
import pg from 'pg'
import type { Database } from './test-database.ts'

// An application that goes on whatever we do to its table, and notes what the server
// acknowledged. Statements, not tables, are its input, so any shape of table will do.
//
// What became of a write nobody knows when its connection was lost before the answer:
// its token is "in doubt", and may be there or not. A write that the server refused is
// an error. Waits are measured here, so a busy event loop adds to them: the packages that a
// command loads when it comes to them, up to 0.3 s each, are loaded before the first statement.

/** How a statement travels: as text, with parameters, or prepared once under a name. */
export type Protocol = 'simple' | 'extended' | 'prepared'

/** The text must be the same each time; what differs belongs into the values. */
export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

/** What a reader does again and again, in a session of its own (see reads.ts). */
export interface Read {
  readonly name: string
  /** `rest` is for the application's own pauses between statements, which are not waits for the server. */
  run(client: pg.Client, rest: Rest): Promise<unknown>
}

/** Sleeps; the time does not count as waiting. */
export type Rest = (milliseconds: number) => Promise<void>

export interface Load {
  /** The insert of one row that can be found again by its token, a UUID. */
  readonly insert: (token: string) => Statement
  /** One writing session for each; by default one of each kind. */
  readonly protocols?: readonly Protocol[]
  /** One reading session for each. */
  readonly reads?: readonly Read[]
  /** Every session's rest after a statement, 5 by default: the load is there to notice, not to saturate. */
  readonly pauseMs?: number
  /** Go on with a new connection where one was lost, rather than call that an error. */
  readonly reconnect?: boolean
  /** The application's role; by default the database's usual one. */
  readonly role?: string
}

/** How long statements took. */
export interface Waits {
  readonly count: number
  readonly longestWaitMs: number
  readonly p99Ms: number
}

/** What the application met with. */
export interface LoadReport {
  /** Tokens of the writes that the server confirmed. */
  readonly acknowledged: readonly string[]
  /** Tokens of the writes that lost their connection before an answer. */
  readonly inDoubt: readonly string[]
  readonly errors: readonly Error[]
  /** Connections that were lost and replaced. */
  readonly reconnects: number
  readonly writes: number
  readonly reads: number
  /** Over all sessions. */
  readonly longestWaitMs: number
  readonly p99Ms: number
  /** By session: `writer simple`, `reader view`, … */
  readonly sessions: Readonly<Record<string, Waits>>
}

const PAUSE_MS = 5
const RECONNECT_PAUSE_MS = 50

/** Comes back when every session has had its first answer; throws if that was an error. */
export async function startWriters(database: Database, load: Load): Promise<Writers> {
  const writers = new Writers(database, load)
  await writers.start()
  return writers
}

/** A running load. */
export class Writers {
  private readonly database: Database
  private readonly load: Load
  private readonly stopping = new AbortController()
  private readonly waits = new Map<string, RecordableHistogram>()
  private readonly loops: Promise<void>[] = []
  private readonly acknowledged: string[] = []
  private readonly inDoubt: string[] = []
  private readonly errors: Error[] = []
  private reads = 0
  private reconnects = 0

  constructor(database: Database, load: Load) {
    this.database = database
    this.load = load
  }

  /** How many writes have been acknowledged so far. */
  get writes(): number {
    return this.acknowledged.length
  }

  /** How many errors the application has met so far. */
  get failures(): number {
    return this.errors.length
  }

  /** Begins; `startWriters` is what callers want. */
  async start(): Promise<void> {
    await Promise.all([parse('select 1'), import('umzug')])
    const { protocols = ['simple', 'extended', 'prepared'], reads = [] } = this.load
    const begun = await Promise.allSettled([
      ...protocols.map((protocol) => this.begin(`writer ${protocol}`, (client) => this.write(client, protocol))),
      ...reads.map((read) => this.begin(`reader ${read.name}`, (client, rest) => this.read(client, read, rest))),
    ])
    this.errors.push(...begun.flatMap((one) => (one.status === 'rejected' ? [asError(one.reason)] : [])))
    const [error] = this.errors
    if (!error) return
    await this.stop()
    throw error
  }

  /** Lets every statement under way finish, and tells how it went. */
  async stop(): Promise<LoadReport> {
    this.stopping.abort()
    await Promise.all(this.loops)
    const all = createHistogram()
    for (const histogram of this.waits.values()) all.add(histogram)
    const { longestWaitMs, p99Ms } = summary(all)
    return {
      acknowledged: this.acknowledged,
      inDoubt: this.inDoubt,
      errors: this.errors,
      reconnects: this.reconnects,
      writes: this.writes,
      reads: this.reads,
      longestWaitMs,
      p99Ms,
      sessions: Object.fromEntries([...this.waits].map(([name, histogram]) => [name, summary(histogram)])),
    }
  }

  /** Connects a session, has it act once, and leaves it going on. */
  private async begin(name: string, act: Act): Promise<void> {
    this.waits.set(name, createHistogram())
    const session = await this.connect(name)
    await this.turn(session, act)
    this.loops.push(this.keepOn(session, act))
  }

  private async keepOn(first: Session, act: Act): Promise<void> {
    let session: Session | null = first
    for (;;) {
      await pause(this.load.pauseMs ?? PAUSE_MS, this.stopping.signal)
      if (this.stopping.signal.aborted) break
      if (session.lost) session = await this.replace(session)
      if (!session) return
      await this.turn(session, act)
    }
    await session.client.end()
  }

  /** One statement, or a few, timed without rests. What it throws is noted here and nowhere else. */
  private async turn(session: Session, act: Act): Promise<void> {
    const startedMs = performance.now()
    let restedMs = 0
    const rest: Rest = async (milliseconds) => {
      const beganMs = performance.now()
      await setTimeout(milliseconds)
      restedMs += performance.now() - beganMs
    }
    try {
      await act(session.client, rest)
    } catch (error) {
      if (isEndOfSession(error)) this.lose(session, error)
      if (session.lost) return
      this.errors.push(asError(error))
      await session.client.query('rollback').catch((lost) => this.lose(session, lost))
    }
    this.waits.get(session.name)?.record(wholeMicroseconds(performance.now() - startedMs - restedMs))
  }

  // Told by the query that was under way, or by the connection, or by both.
  private lose(session: Session, error: unknown): void {
    if (session.lost) return
    session.lost = true
    if (!this.load.reconnect) this.errors.push(asError(error))
  }

  private async write(client: pg.Client, protocol: Protocol): Promise<void> {
    const token = randomUUID()
    const query = asQuery(this.load.insert(token), protocol)
    try {
      await client.query(query)
      this.acknowledged.push(token)
    } catch (error) {
      if (!isRefusal(error)) this.inDoubt.push(token)
      throw error
    }
  }

  private async read(client: pg.Client, read: Read, rest: Rest): Promise<void> {
    await read.run(client, rest)
    this.reads++
  }

  private async connect(name: string): Promise<Session> {
    const { role } = this.load
    const client = await this.database.session(name, role === undefined ? {} : { role })
    const session: Session = { name, client, lost: false }
    // pg tells this before it rejects the query that was under way.
    client.on('error', (error) => this.lose(session, error))
    return session
  }

  /** A new session for a lost one, as soon as the server lets us in; null where there shall be none. */
  private async replace({ name }: Session): Promise<Session | null> {
    if (!this.load.reconnect) return null
    this.reconnects++
    while (!this.stopping.signal.aborted) {
      try {
        return await this.connect(name)
      } catch {
        await pause(RECONNECT_PAUSE_MS, this.stopping.signal)
      }
    }
    return null
  }
}

type Act = (client: pg.Client, rest: Rest) => Promise<void>

interface Session {
  readonly name: string
  readonly client: pg.Client
  lost: boolean
}

// The simple protocol has no parameters, so their values go into the text.
function asQuery({ text, values }: Statement, protocol: Protocol): pg.QueryConfig {
  switch (protocol) {
    case 'simple':
      return { text: text.replaceAll(/\$(\d+)/g, (_, position) => inText(values[Number(position) - 1])) }
    case 'extended':
      return { text, values: [...values] }
    case 'prepared':
      return { name: 'ebb test insert', text, values: [...values] }
  }
}

function inText(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  return pg.escapeLiteral(typeof value === 'string' ? value : bare(JSON.stringify(value)))
}

// JSON puts quotes around a Date, and PostgreSQL's types want none.
function bare(json: string): string {
  return json.replace(/^"|"$/g, '')
}

// The server's word that the statement did not happen.
function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !isEndOfSession(error)
}

// The server's last word in a session. Whether it came before or after a commit it does not say.
function isEndOfSession(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.severity === 'FATAL' || error.severity === 'PANIC')
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

// The histogram takes whole numbers, and none below 1.
function wholeMicroseconds(ms: number): number {
  return Math.max(1, Math.round(ms * 1000))
}

function summary(histogram: RecordableHistogram): Waits {
  return {
    count: histogram.count,
    longestWaitMs: histogram.count === 0 ? 0 : histogram.max / 1000,
    p99Ms: histogram.percentile(99) / 1000,
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => undefined)
}

import type { Client, ClientBase } from 'pg'

// The time the server works for us, without network latency. Batches sized by elapsed time would shrink to single
// rows with a latency of 20 ms, because each query takes at least that long.

/** The measured latency, in milliseconds. */
interface Line {
  /** A recent minimum: the network may change, so an old value slowly decays. */
  shortest: number
  /** Total latency of all queries. */
  travelled: number
  /** Queries without an answer yet: what is sent behind others, without waiting for them, travels together with them. */
  underWay: number
  /** When the first of them was sent. */
  since: number
}

const LINES = new WeakMap<ClientBase, Line>()
const FORGETTING = 1.02
/** A query that takes less than this multiple of the minimum has done hardly any work on the server. */
const IDLE = 2

/** Measures the queries of a new session; streams are excluded. */
export function timeQueries(client: Client): void {
  const line: Line = { shortest: Infinity, travelled: 0, underWay: 0, since: 0 }
  LINES.set(client, line)
  const query = client.query.bind(client) as (...words: unknown[]) => unknown
  client.query = ((...words: unknown[]) => {
    const sent = performance.now()
    const result = query(...words)
    if (!(result instanceof Promise)) return result
    if (line.underWay++ === 0) line.since = sent
    result.then(
      () => {
        if (--line.underWay === 0) note(line, performance.now() - line.since)
      },
      () => void line.underWay--,
    )
    return result
  }) as Client['query']
}

/** One query, or several that travelled together: something on the way may hold back those behind the first (Nagle’s algorithm). */
function note(line: Line, milliseconds: number): void {
  line.shortest = Math.min(milliseconds, line.shortest * FORGETTING)
  line.travelled += milliseconds < IDLE * line.shortest ? milliseconds : line.shortest
}

/** Starts a clock of the elapsed milliseconds without the latency of queries in these sessions. */
export function workClock(...sessions: readonly ClientBase[]): () => number {
  const atWork = () => sessions.reduce((ms, session) => ms - (LINES.get(session)?.travelled ?? 0), performance.now())
  const began = atWork()
  return () => Math.max(0, atWork() - began)
}

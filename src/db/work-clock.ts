import type { Client, ClientBase } from 'pg'

// How long the server is at work for us, as against how far away it is. Pieces
// of work sized by the time that passes here would come down to single rows over
// a line of 20 ms: each of their queries is that long on its way, and does nothing.

/** What is known of the line to the server, in milliseconds. */
interface Line {
  /** Of late: the way may change, so an old record is slowly forgotten. */
  shortest: number
  /** Spent on the way, by all queries together. */
  travelled: number
}

const LINES = new WeakMap<ClientBase, Line>()
const FORGETTING = 1.02
/** A query that takes less than so many times the shortest has given the server next to nothing to do. */
const IDLE = 2

/** Has the queries of a new session timed; streams are left out. */
export function timeQueries(client: Client): void {
  const line = { shortest: Infinity, travelled: 0 }
  LINES.set(client, line)
  const query = client.query.bind(client) as (...words: unknown[]) => unknown
  client.query = ((...words: unknown[]) => {
    const began = performance.now()
    const result = query(...words)
    if (result instanceof Promise)
      result.then(
        () => note(line, performance.now() - began),
        () => {},
      )
    return result
  }) as Client['query']
}

function note(line: Line, milliseconds: number): void {
  line.shortest = Math.min(milliseconds, line.shortest * FORGETTING)
  line.travelled += milliseconds < IDLE * line.shortest ? milliseconds : line.shortest
}

/** Starts a clock: it tells the milliseconds that have passed, less what queries of these sessions have spent on their way. */
export function workClock(...sessions: readonly ClientBase[]): () => number {
  const atWork = () => sessions.reduce((ms, session) => ms - (LINES.get(session)?.travelled ?? 0), performance.now())
  const began = atWork()
  return () => Math.max(0, atWork() - began)
}

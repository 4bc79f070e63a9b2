import type { ClientBase } from 'pg'

// Answers that are the same for one table after the other, asked once a second instead of once a table: of a thousand
// tables they would take most of the time. Whatever happens between an answer and what is done by it could have happened
// a second later, too; so it may only be what others change seldom, and what nothing but the moment of the look protects.

const MOMENT_MS = 1_000

interface Answer {
  readonly until: number
  readonly value: unknown
}

const ANSWERS = new WeakMap<ClientBase, Map<string, Answer>>()

/** What this session was told less than a second ago; else it asks. Failures are not remembered, nor is `undefined`. */
export async function forAMoment<T>(session: ClientBase, question: string, ask: () => Promise<T>): Promise<T> {
  const known = ANSWERS.get(session) ?? new Map<string, Answer>()
  ANSWERS.set(session, known)
  const before = known.get(question)
  if (before !== undefined && performance.now() < before.until) return before.value as T
  const until = performance.now() + MOMENT_MS
  const value = await ask()
  if (value !== undefined) known.set(question, { until, value })
  return value
}

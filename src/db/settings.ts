import type { ClientBase } from 'pg'
import { putBack, putUnder, type ConditionSettings } from '../sql/condition-settings.ts'
import { inOneGo } from './in-one-go.ts'
import type { Session } from './session.ts'
import { begin } from './transaction.ts'

/** Applies the settings of a condition to the open transaction. */
export async function putSession(session: ClientBase, settings: ConditionSettings): Promise<void> {
  const statements = putUnder(settings)
  if (statements.length > 0) await session.query(statements.join('; '))
}

/** Restores ours. */
export async function putSessionBack(session: ClientBase, settings: ConditionSettings): Promise<void> {
  const statements = putBack(settings)
  if (statements.length > 0) await session.query(statements.join('; '))
}

/** Sends one query, by `ask`, under these settings, in the open transaction; ours are restored after it. */
export async function underSettings<T>(
  session: Session,
  settings: ConditionSettings,
  ask: () => Promise<T>,
): Promise<T> {
  const [, answer] = await inOneGo(session, () => [
    putSession(session, settings),
    ask(),
    putSessionBack(session, settings),
  ])
  return answer
}

/** The same in a separate read-only transaction, all in one message: if a part fails, nothing after it is of any consequence. */
export async function askUnder<T>(session: Session, settings: ConditionSettings, ask: () => Promise<T>): Promise<T> {
  const [, answer] = await inOneGo(session, () => [
    session.query(begin({ readOnly: true })),
    underSettings(session, settings, ask),
    session.query('commit'),
  ])
  return answer
}

import type { ClientBase } from 'pg'

export interface TransactionOptions {
  readonly isolation?: 'read committed' | 'repeatable read'
  readonly readOnly?: boolean
  /** Settings of the transaction, `name = value`, sent together with its begin. */
  readonly local?: readonly string[]
}

/** Runs `work` in a transaction: committed when it returns, rolled back when it throws. */
export function inTransaction<T>(session: ClientBase, options: TransactionOptions, work: () => Promise<T>): Promise<T> {
  return inTransactionFrom(session, () => session.query(begin(options)), work)
}

/** The same where `first` sends the begin that it is given in one message with its own statements, and `work` gets what they answer. */
export async function inTransactionFrom<F, T>(
  session: ClientBase,
  first: (begin: string) => Promise<F>,
  work: (answer: F) => Promise<T>,
): Promise<T> {
  let result: T
  try {
    // Of several statements, so it may fail, or be cancelled, in a transaction that has begun.
    result = await work(await first(begin({})))
  } catch (error) {
    // After a lost connection the server has rolled back already, and the first error has the reason.
    await session.query('rollback').catch(() => {})
    throw error
  }
  await session.query('commit')
  return result
}

export function begin({ isolation = 'read committed', readOnly = false, local = [] }: TransactionOptions): string {
  const beginning = `begin isolation level ${isolation} ${readOnly ? 'read only' : 'read write'}`
  return [beginning, ...local.map((setting) => `set local ${setting}`)].join('; ')
}

/** A read-only transaction: everything `work` reads is from one snapshot. */
export function inSnapshot<T>(session: ClientBase, work: () => Promise<T>): Promise<T> {
  return inTransaction(session, { isolation: 'repeatable read', readOnly: true }, work)
}

import type { ClientBase, QueryArrayConfig } from 'pg'
import { readConditionSettings } from '../../catalog/condition/condition-settings.ts'
import { inTransaction } from '../../db/transaction.ts'
import { putSession } from '../../db/settings.ts'
import { isConnectionLost, reasonOf } from '../../db/sqlstate.ts'
import { failureOf, withoutCredentials } from '../../text/url.ts'
import type { Health } from '../reading.ts'

/** The timeout of a user's health check; for queries it is set in the session. */
export const CHECK_TIMEOUT_MS = 3_000

/**
 * Runs the health query: the first column of the first row must be true. It is a single read-only statement, under
 * the role's own settings, with the session's statement_timeout.
 */
export async function checkQuery(session: ClientBase, query: string): Promise<Health> {
  try {
    const rows = await inTransaction(session, { readOnly: true }, async () => {
      await session.query('set local row_security = on')
      await putSession(session, await readConditionSettings(session))
      return (await session.query<unknown[]>(single(query))).rows
    })
    return rows[0]?.[0] === true
      ? { ok: true }
      : { ok: false, why: `the health query returned ${shown(rows)}, not true` }
  } catch (error) {
    if (isConnectionLost(error)) throw error
    return { ok: false, why: `the health query failed: ${reasonOf(error)}` }
  }
}

// With the extended protocol the server refuses a second statement, which could end the read-only transaction.
function single(text: string): QueryArrayConfig {
  const config: QueryArrayConfig & { queryMode: 'extended' } = { text, rowMode: 'array', queryMode: 'extended' }
  return config
}

const SHOWN_CHARACTERS = 60

function shown(rows: readonly unknown[][]): string {
  if (rows[0] === undefined) return 'no row'
  return String(JSON.stringify(rows[0][0])).slice(0, SHOWN_CHARACTERS)
}

/**
 * Requests the health URL: any status but 2xx, or a timeout, is a reason to wait. Only its host and the status are
 * ever shown; the body is not read.
 */
export async function checkUrl(text: string, signal: AbortSignal): Promise<Health> {
  const { url, headers } = withoutCredentials(text)
  // Not AbortSignal.timeout(): inside AbortSignal.any() it is not referenced, and once garbage-collected it never
  // fires.
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), CHECK_TIMEOUT_MS)
  try {
    const why = await ask(url, { headers, signal: AbortSignal.any([signal, timeout.signal]) })
    return why === null ? { ok: true } : { ok: false, why: `the health check at ${url.host} ${why}` }
  } catch (error) {
    signal.throwIfAborted()
    const reason = timeout.signal.aborted ? `no answer within ${CHECK_TIMEOUT_MS / 1000} s` : failureOf(error)
    return { ok: false, why: `the health check at ${url.host} is unreachable (${reason})` }
  } finally {
    clearTimeout(timer)
  }
}

const MOST_REDIRECTS = 5

/**
 * What is wrong with the response; null if it is 2xx. Redirects to other hosts are not followed: the responding host
 * must not choose whom we contact.
 */
async function ask(first: URL, options: RequestInit): Promise<string | null> {
  let url = first
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, { ...options, redirect: 'manual' })
    await response.body?.cancel()
    if (response.ok) return null
    const location = response.headers.get('location')
    if (location === null || response.status < 300 || response.status > 399) return `answers ${response.status}`
    if (!URL.canParse(location, url.href) || !isSameHost(new URL(location, url), first))
      return `redirects (${response.status}) to another host, which is not followed`
    if (redirects === MOST_REDIRECTS) return `redirects (${response.status}) too often`
    url = new URL(location, url)
  }
}

/** Whether the credentials may be sent there as well: not unencrypted if they were encrypted. */
function isSameHost({ host, protocol }: URL, first: URL): boolean {
  return host === first.host && (protocol === first.protocol || protocol === 'https:')
}

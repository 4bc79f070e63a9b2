import type { ClientBase, QueryArrayConfig } from 'pg'
import { readConditionSettings } from '../../catalog/condition/condition-settings.ts'
import { inTransaction } from '../../db/session.ts'
import { putSession } from '../../db/settings.ts'
import { isConnectionLost } from '../../db/sqlstate.ts'
import { reasonOf } from '../../errors.ts'
import type { Health } from '../reading.ts'

/** How long a check of the user's may take before it counts as failed; for queries see the session. */
export const CHECK_TIMEOUT_MS = 3_000

/**
 * Asks the user's query: the first column of the first row must be true. It
 * can change nothing, is one statement, and is read under the settings that
 * the role has by itself. How long it may take is the session's statement_timeout.
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
      : { ok: false, why: `the health query answers ${shown(rows)}, not true` }
  } catch (error) {
    if (isConnectionLost(error)) throw error
    return { ok: false, why: `the health query fails: ${reasonOf(error)}` }
  }
}

// By the extended protocol the server refuses a second statement, which could end the read-only transaction.
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
 * Asks the user's URL: anything but 2xx, and no answer in time, is a reason to
 * wait. Only its host and the number of its answer are ever told; the answer itself is not read.
 */
export async function checkUrl(text: string, signal: AbortSignal): Promise<Health> {
  const { url, headers } = withoutCredentials(text)
  // Not AbortSignal.timeout(): behind AbortSignal.any() nobody keeps it, and once collected it never fires.
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), CHECK_TIMEOUT_MS)
  try {
    const why = await ask(url, { headers, signal: AbortSignal.any([signal, timeout.signal]) })
    return why === null ? { ok: true } : { ok: false, why: `the health check at ${url.host} ${why}` }
  } catch (error) {
    signal.throwIfAborted()
    const reason = timeout.signal.aborted ? `no answer within ${CHECK_TIMEOUT_MS / 1000} s` : failureOf(error)
    return { ok: false, why: `the health check at ${url.host} cannot be reached (${reason})` }
  } finally {
    clearTimeout(timer)
  }
}

const MOST_REDIRECTS = 5

/** What is wrong with the answer; null when it is 2xx. On the way to it no other host is asked: who answers does not choose whom we ask. */
async function ask(first: URL, options: RequestInit): Promise<string | null> {
  let url = first
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, { ...options, redirect: 'manual' })
    await response.body?.cancel()
    if (response.ok) return null
    const location = response.headers.get('location')
    if (location === null || response.status < 300 || response.status > 399) return `answers ${response.status}`
    if (!URL.canParse(location, url.href) || !isSameHost(new URL(location, url), first))
      return `answers ${response.status} and leads to another host, which is not asked`
    if (redirects === MOST_REDIRECTS) return `answers ${response.status} again and again`
    url = new URL(location, url)
  }
}

/** Whether the credentials may go there as well: not in the open, where they were encrypted. */
function isSameHost({ host, protocol }: URL, first: URL): boolean {
  return host === first.host && (protocol === first.protocol || protocol === 'https:')
}

// `fetch` refuses a URL that holds credentials; they travel as they would have.
function withoutCredentials(text: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(text)
  const { username, password } = url
  url.username = url.password = ''
  if (username === '' && password === '') return { url, headers: {} }
  const pair = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  return { url, headers: { authorization: `Basic ${pair}` } }
}

// The message of a failed fetch may repeat the URL; its code does not.
function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { cause } = error
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : error.name
}

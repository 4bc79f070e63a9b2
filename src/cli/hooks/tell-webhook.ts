import { failureOf, withoutCredentials } from '../../text/url.ts'

/**
 * Posts JSON to a webhook. Returns what went wrong, null if nothing did; of the URL only the host is named, for the rest may be
 * a secret. What it answers is not read, and a redirect is not followed: the answer must not choose who is told.
 */
export async function tellWebhook(webhook: string, content: string, timeoutMs: number): Promise<string | null> {
  const { url, headers } = withoutCredentials(webhook)
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), timeoutMs)
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: content,
      redirect: 'manual',
      signal: timeout.signal,
    })
    await response.body?.cancel()
    return response.ok ? null : `${url.host} answered ${response.status}`
  } catch (error) {
    return timeout.signal.aborted
      ? `${url.host} has not answered within ${timeoutMs / 1000} s`
      : `${url.host} could not be reached (${failureOf(error)})`
  } finally {
    clearTimeout(timer)
  }
}

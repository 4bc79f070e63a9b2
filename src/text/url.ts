/** A URL as `fetch` takes it, which refuses one with credentials: they become a header. */
export function withoutCredentials(text: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(text)
  const { username, password } = url
  url.username = url.password = ''
  if (username === '' && password === '') return { url, headers: {} }
  const pair = Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')
  return { url, headers: { authorization: `Basic ${pair}` } }
}

/** A password may have a percent sign that stands for itself. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Why a fetch failed: its message may contain the URL, its code does not. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { cause } = error
  // By the Fetch standard, as browsers do: 6000, 10080 and some more, before anything is sent.
  if (cause instanceof Error && cause.message === 'bad port') return 'fetch refuses this port'
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : error.name
}

/**
 * The URL of a database; null where the text is none. As for libpq, the host may be missing although there is a user:
 * `postgres://app@/shop?host=/run/postgresql`.
 */
export function databaseUrl(text: string): URL | null {
  const withHost = text.replace(/^([a-z]+:\/\/[^/?#]*@)(?=\/)/, '$1localhost')
  return URL.canParse(withHost) && /^postgres(ql)?:$/.test(new URL(withHost).protocol) ? new URL(withHost) : null
}

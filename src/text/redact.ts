const PASSWORD_IN_URL = /([a-z][a-z0-9+.-]*:\/\/[^\s:@/?#]*):[^\s]*@/gi
const PASSWORD_PARAMETER = /\b((?:pg|ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'")]+)/gi

/**
 * Removes passwords from a text: those in URLs, and `password=…`. If a password contains an unescaped `@` or `/`,
 * more is hidden than necessary, never less.
 */
export function redact(text: string): string {
  return text.replace(PASSWORD_IN_URL, '$1:***@').replace(PASSWORD_PARAMETER, '$1***')
}

const BEHIND_HOST = /(https?:\/\/)(?:[^\s/?#'"@]*@)?([^\s/?#'"]+)[^\s'"]*/gi

/** Removes from web addresses all but the host: the path of a webhook is its secret. */
export function hostsOnly(text: string): string {
  return redact(text).replace(BEHIND_HOST, '$1$2/***')
}

const PASSWORD_IN_URL = /([a-z][a-z0-9+.-]*:\/\/[^\s:@/?#]*):[^\s]*@/gi
const PASSWORD_PARAMETER = /\b((?:pg|ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'")]+)/gi

/**
 * Takes passwords out of a text: those in URLs, and those written `password=…`.
 * Where a password holds an `@` or a `/` that should have been escaped, more is
 * hidden than need be, and never less.
 */
export function redact(text: string): string {
  return text.replace(PASSWORD_IN_URL, '$1:***@').replace(PASSWORD_PARAMETER, '$1***')
}

import { UsageError } from '../errors.ts'
import type { ConfigFaults } from './config-faults.ts'
import { placeOfIndex, type Path } from './place.ts'

// A config is kept with the source and shown in reviews, so a secret in it is known to many. It is refused wherever it
// stands, in a comment too; what the environment supplies is not written there.

const SECRETS = [
  /[a-z][a-z0-9+.-]*:\/\/[^\s:@/?#'"`]*:(?!\$)[^\s@'"`]+@/gi,
  /\b(?:pg)?password\s*=\s*(?!\$|process\b|env\b)['"]?[^\s'"&]/gi,
  /[?&](?:access_token|token|api_?key|secret)=(?!\$)[^\s&'"`]/gi,
  /AGE-SECRET-KEY-/gi,
  // Webhooks whose path is the secret.
  /https?:\/\/(?:hooks\.slack\.com|discord(?:app)?\.com\/api\/webhooks|chat\.googleapis\.com|[\w.-]+\.webhook\.office\.com)\/[^\s$'"`]/gi,
]

/** Notes secrets in the text of a config; what they are is not repeated. */
export function noteSecrets(text: string, faults: ConfigFaults): void {
  for (const { index } of SECRETS.flatMap((secret) => [...text.matchAll(secret)]))
    faults.noteAt(
      placeOfIndex(text, index),
      '',
      new UsageError(
        'a secret is in the file',
        'Take it out, and change it, because others may have read it. In its place write ${NAME}, a variable of the environment; the database is named by --url or DATABASE_URL.',
      ),
    )
}

const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g

/** The texts of a config with what the environment supplies: `s3://${BUCKET}/events`. `note` is told what is not set. */
export function withEnvironment(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  note: (path: Path, error: UsageError) => void,
): unknown {
  const visit = (inner: unknown, path: Path): unknown => {
    if (typeof inner === 'string')
      return inner.replace(REFERENCE, (whole, name: string) => {
        const supplied = env[name]
        if (supplied) return supplied
        note(path, new UsageError(`${name} is not set in the environment`, `Set ${name}, or write the value itself.`))
        return whole
      })
    if (Array.isArray(inner)) return inner.map((one, i) => visit(one, [...path, i]))
    if (typeof inner !== 'object' || inner === null) return inner
    return Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, visit(one, [...path, key])]))
  }
  return visit(value, [])
}

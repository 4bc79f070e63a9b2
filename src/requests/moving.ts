import { UsageError } from '../errors.ts'
import { databaseUrl } from '../text/url.ts'
import { option, type Options } from './option.ts'
import { interval, name, text } from './parsers.ts'
import type { Given } from './spec.ts'

// Where partitions are moved to. PostgreSQL reads there through the foreign server, and cannot create a table through it;
// so Ebb needs a session there as well, as a role that may.

export const TO = {
  to: option('--to <server>', 'with --retire move: the foreign server (postgres_fdw) where partitions go', name),
  toUrl: option(
    '--to-url <url>',
    'with --retire move: the same server as Ebb reaches it, as a role that may create tables there',
    address,
  ),
  keepMoved: option(
    '--keep-moved <interval>',
    'with --retire move: rows older than this are removed from the other server, too; without it, they stay there for good',
    interval,
  ),
}

function address(value: unknown): string {
  const given = text(value)
  if (databaseUrl(given) !== null) return given
  // It may hold a password, so it is not repeated.
  throw new UsageError('it is not a connection string', 'Write it as postgres://user:password@host:5432/database.')
}

/** Notes what is missing, or says nothing without `--retire move`. */
export function checkTo(given: Given<Options & typeof TO>, isMoved: boolean): void {
  for (const key of ['to', 'toUrl', 'keepMoved'] as const) {
    if (isMoved && key !== 'keepMoved') given.require(key)
    if (!isMoved && given.has(key))
      given.refuse(key, 'partitions are not moved', 'Omit it, or say that they are: --retire move.')
  }
}

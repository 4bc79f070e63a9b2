import type pg from 'pg'
import type { Address } from '../db/session.ts'
import { UsageError } from '../errors.ts'
import type { TableName } from '../sql/names.ts'

/** The database: a pool (its settings are used, not its connections), a connection string, or settings. */
export type Database = string | pg.Pool | pg.ClientConfig

/** `events`, `public.events`, `"My.Schema"."Events"`: read as SQL reads it; or the two names as they are. */
export type Table = string | TableName

/**
 * Where sessions are opened. Told by its shape: a program may have a pg of its own, whose classes are not ours.
 * A pool hides its password from being copied with the rest of its settings.
 */
export function targetOf(database: Database): Address {
  // A missing environment variable must not lead to whatever server runs on this machine.
  if ((database as unknown) == null || database === '')
    throw new UsageError('no database is named', 'Pass a connection string, a pg.Pool, or settings.')
  if (typeof database === 'string' || !('options' in database && 'totalCount' in database)) return database
  const { options } = database
  return options.password === undefined ? { ...options } : { ...options, password: options.password }
}

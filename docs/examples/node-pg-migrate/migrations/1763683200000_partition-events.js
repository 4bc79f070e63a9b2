import { partition, rollback } from 'pg-ebb'

const database = process.env.DATABASE_URL

export async function up(pgm) {
  // With --no-single-transaction; otherwise one transaction is open around all pending migrations.
  pgm.noTransaction()
  await partition(database, { table: 'events', by: 'created_at', every: 'month', keep: '90 days', execute: true })
}

/** Possible while all rows are still in the history partition. */
export async function down(pgm) {
  pgm.noTransaction()
  await rollback(database, { run: 'events', execute: true })
}

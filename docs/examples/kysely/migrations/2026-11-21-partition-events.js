import { partition, rollback } from 'pg-ebb'

const database = process.env.DATABASE_URL

export async function up() {
  await partition(database, { table: 'events', by: 'created_at', every: 'month', keep: '90 days', execute: true })
}

/** Possible while all rows are still in the history partition. */
export async function down() {
  await rollback(database, { run: 'events', execute: true })
}

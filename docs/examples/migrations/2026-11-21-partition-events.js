import { partition, rollback } from 'pg-ebb'

/** The table stays in use meanwhile; the deployment waits until it is done. */
export async function up({ context: pool }) {
  await partition(pool, { table: 'events', by: 'created_at', every: 'month', keep: '90 days', execute: true })
}

/** Possible while all rows are still in the history partition. */
export async function down({ context: pool }) {
  await rollback(pool, { run: 'events', execute: true })
}

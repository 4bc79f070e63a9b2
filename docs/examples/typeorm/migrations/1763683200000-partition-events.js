import { partition, rollback } from 'pg-ebb'

const database = process.env.DATABASE_URL

export class PartitionEvents1763683200000 {
  name = 'PartitionEvents1763683200000'
  // With migrationsTransactionMode `each`; otherwise TypeORM keeps a transaction open around it.
  transaction = false

  async up() {
    await partition(database, { table: 'events', by: 'created_at', every: 'month', keep: '90 days', execute: true })
  }

  /** Possible while all rows are still in the history partition. */
  async down() {
    await rollback(database, { run: 'events', execute: true })
  }
}

import 'reflect-metadata'
import { DataSource } from 'typeorm'
import { PartitionEvents1763683200000 } from './migrations/1763683200000-partition-events.js'

export const dataSource = new DataSource({
  type: 'postgres',
  url: process.env.DATABASE_URL,
  migrations: [PartitionEvents1763683200000],
  // Not `all`: then a migration cannot do without a transaction.
  migrationsTransactionMode: 'each',
})

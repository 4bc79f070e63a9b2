import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import { migrateUp } from 'pg-ebb'

const db = drizzle(process.env.DATABASE_URL)
// Its files are SQL, in one transaction, so Ebb comes after them.
await migrate(db, { migrationsFolder: './migrations' })
await migrateUp(process.env.DATABASE_URL, { execute: true })
await db.$client.end()

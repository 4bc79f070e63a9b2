import { bigint, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
export const events = pgTable('events', {
  id: bigint({ mode: 'number' }).primaryKey().generatedByDefaultAsIdentity(),
  created_at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  kind: text(),
})

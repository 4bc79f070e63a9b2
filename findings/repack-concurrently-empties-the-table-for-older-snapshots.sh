#!/usr/bin/env bash
# After REPACK (CONCURRENTLY) a transaction with an older snapshot reads an empty table, without an error; after REPACK it does not.
#
# Versions:  PostgreSQL 19 (Debian's packages from experimental, 19~rc1)
# Expected:  REPACK rewrites as VACUUM FULL and CLUSTER do, which carry over who may see a row: a REPEATABLE READ transaction that is
#            under way reads the same rows after it. The word CONCURRENTLY promises others less disturbance, not more.
# Behaviour: the concurrent form inserts all rows anew, by its own transaction, and does not wait for older snapshots before it exchanges
#            the files. A transaction that has read something else before, and reads this table first afterwards, finds no row.
# Output:    of 1000 rows: after repack 1000, after repack (concurrently) 0
# Matters:   reports and dumps in REPEATABLE READ are wrong while it is used, and nothing tells; a rebuild that waits for snapshots
#            older than its copy takes longer for that reason.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start debian-19
query 'create table t (id int primary key)' 'insert into t select generate_series(1, 1000)'
count_after() {
  query 'begin isolation level repeatable read' 'select 1' 'select pg_sleep(4)' 'select count(*) from t' >"$work/count" &
  sleep 1
  query "$1"
  wait $!
  cat "$work/count"
}
seen="after repack $(count_after 'repack t'), after repack (concurrently) $(count_after 'repack (concurrently) t')"
echo "of 1000 rows: $seen"
expect 'after repack 1000, after repack (concurrently) 0' "$seen"

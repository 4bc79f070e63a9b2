-- By what a table is known after it was renamed: by its name alone it would be taken for dropped.
alter table partition_set add column relid oid;
alter table policy add column relid oid;

update partition_set s set relid = c.oid
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = s.schema_name and c.relname = s.table_name;
update policy s set relid = c.oid
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = s.schema_name and c.relname = s.table_name;

-- Each registration looks for an earlier one of the same table.
create index partition_set_by_relid on partition_set (relid);

-- Ended runs go a good year after their end, but for the latest of each command on a table: these find them, and it.
create index run_by_end on run (ended_at);
create index run_by_table on run (schema_name, table_name, id);

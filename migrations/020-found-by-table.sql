-- What is known of the partitions of a table is found by the table, of which there may be thousands.
create index closed_partition_by_table on closed_partition (schema_name, table_name);
-- Whether any policy holds rows is asked of each table.
create index policy_with_hold on policy (schema_name, table_name) where terms ? 'hold';

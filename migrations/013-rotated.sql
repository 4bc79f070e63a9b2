-- When rotate last ran on a table without a failure; null where it has not yet.
alter table partition_set add column rotated_at timestamptz;

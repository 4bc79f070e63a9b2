-- Rows that no command removes before a date, though they have expired: they have been restored.
create table hold (
  id bigint generated always as identity primary key,
  -- The table; of a partition, its table, and the bounds.
  schema_name text not null,
  table_name text not null,
  bounds text,
  until timestamptz not null,
  -- The run that has restored them.
  run_id bigint references run (id) on delete set null,
  since timestamptz not null default clock_timestamp()
);

create unique index hold_by_run on hold (run_id);
create index hold_by_table on hold (schema_name, table_name);

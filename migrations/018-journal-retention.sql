-- Tables whose runs and removed partitions stay in the journal for longer than usual: as long as a command has asked for.
create table journal_retention (
  schema_name text not null,
  table_name text not null,
  keep interval not null,
  since timestamptz not null default clock_timestamp(),
  recorded_by text not null default current_user,
  primary key (schema_name, table_name)
);

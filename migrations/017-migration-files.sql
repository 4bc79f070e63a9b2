-- Files of `ebb migrate`, from when one is begun until it has been undone.
create table migration_file (
  name text primary key,
  -- Of the latest attempt.
  direction text not null check (direction in ('up', 'down')),
  begun_at timestamptz not null default clock_timestamp(),
  -- Null while it is applied in part.
  applied_at timestamptz,
  last_error text
);

-- What a file has called, in order: a call that is done is not repeated when the file is run again.
create table migration_call (
  name text not null references migration_file (name) on delete cascade,
  direction text not null,
  position int not null,
  command text not null,
  table_name text not null,
  -- Of its options.
  digest text not null,
  run_id bigint references run (id),
  ended_at timestamptz,
  primary key (name, direction, position)
);

create index migration_call_by_run on migration_call (run_id);

-- Batches of a purge: each written in the transaction that deletes its rows, so a kill costs one batch. They are the
-- audit of what went, and where the run goes on.
create table purge_batch (
  run_id bigint not null references run (id) on delete cascade,
  number bigint not null,
  -- 'walk' goes through the table once; 'return' comes back for rows that were locked when it was their turn.
  pass text not null check (pass in ('walk', 'return')),
  schema_name text not null,
  table_name text not null,
  -- Positions, the first outside and the last inside: a row's address, or the values of an index's columns.
  after text,
  upto text,
  rows bigint not null,
  -- Rows that were to go and could not, because somebody held them locked or was changing them, or because they were refused.
  locked bigint not null,
  -- Rows that were to go, and stay because others refer to them or protect them.
  held bigint not null,
  -- Rows of other tables that went with them, and those that PostgreSQL or a trigger changed, by table.
  counts jsonb not null default '{}',
  changed jsonb not null default '{}',
  milliseconds double precision not null,
  at timestamptz not null default clock_timestamp(),
  primary key (run_id, number)
);

-- Ranges with rows that could not go, until a purge has come back for them: they were locked; or rows of the same table
-- that were to go later, or stay, refer to them (behind); or a foreign key or a guard refused to let them go, and why.
create table purge_left (
  id bigint generated always as identity primary key,
  run_id bigint not null references run (id) on delete cascade,
  schema_name text not null,
  table_name text not null,
  after text,
  upto text not null,
  rows bigint not null,
  reason text not null check (reason in ('locked', 'behind', 'refused')),
  why text
);

create index purge_left_by_run on purge_left (run_id, id);

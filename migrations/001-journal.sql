-- Ebb's own records. Readable with plain SQL; written only by Ebb.
-- Executed with the journal's schema as the search path.

-- One carrying-out of a plan.
create table run (
  id bigint generated always as identity primary key,
  command text not null,
  schema_name text not null,
  table_name text not null,
  request jsonb not null,
  plan jsonb not null,
  status text not null default 'running' check (status in ('running', 'done', 'abandoned', 'rolled back')),
  ebb_version text not null,
  started_by text not null default current_user,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  outcome jsonb,
  last_error text
);

-- At most one unfinished run for a table.
create unique index run_unfinished on run (schema_name, table_name) where status = 'running';

-- What has been done of a run: written in the transaction that does it, where the step is one.
create table step (
  run_id bigint not null references run (id) on delete cascade,
  key text not null,
  done_at timestamptz not null default clock_timestamp(),
  milliseconds double precision,
  primary key (run_id, key)
);

-- Who is at work on a table. A lease that is not renewed runs out; whoever takes it over gets the next
-- token, and the former holder's transactions fail on theirs.
create table lease (
  schema_name text not null,
  table_name text not null,
  token bigint not null,
  holder text not null,
  backend_pid integer not null,
  expires_at timestamptz not null,
  primary key (schema_name, table_name)
);

-- The policy of a partitioned table that rotate keeps.
create table partition_set (
  schema_name text not null,
  table_name text not null,
  policy jsonb not null,
  run_id bigint references run (id) on delete set null,
  since timestamptz not null default clock_timestamp(),
  primary key (schema_name, table_name)
);

-- What rotate has made and removed, one line each.
create table rotation (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  schema_name text not null,
  table_name text not null,
  partition_name text not null,
  action text not null check (action in ('created', 'detached', 'dropped', 'truncated', 'finalized', 'reattached')),
  from_bound text,
  to_bound text,
  bytes bigint,
  estimated_rows bigint
);

create index rotation_by_table on rotation (schema_name, table_name, at);

-- For tables partitioned by id: the newest time in a partition that receives no rows any more.
create table closed_partition (
  partition_oid oid primary key,
  schema_name text not null,
  table_name text not null,
  partition_name text not null,
  newest timestamptz,
  looked_at timestamptz not null default clock_timestamp()
);

-- Partitions on their way out: written before a partition is detached, removed when it is gone. What an interrupted
-- rotation has detached and not yet dropped is found here, by its oid and its name together.
create table retirement (
  partition_oid oid primary key,
  schema_name text not null,
  table_name text not null,
  partition_schema text not null,
  partition_name text not null,
  method text not null check (method in ('drop', 'detach')),
  bounds text not null,
  bytes bigint,
  estimated_rows bigint,
  since timestamptz not null default clock_timestamp()
);

-- Chunks of a table that have been copied: written in the transaction that fills the shadow, so a kill costs one chunk.
create table chunk (
  run_id bigint not null references run (id) on delete cascade,
  -- Blocks, the end not included; or the place of a key range in the order of ranges.
  first bigint not null,
  "end" bigint not null,
  -- Of a key range: the column, and its values (null: open), the end not included.
  by_column text,
  from_key text,
  to_key text,
  rows bigint not null,
  milliseconds double precision not null,
  transport text not null,
  primary key (run_id, first)
);

-- A capture as it was when it began: the triggers that feed a log, and the files of the tables they are on. Written in
-- the transaction that creates them. Any later difference means that changes may have been missed.
create table capture (
  log_name text primary key,
  run_id bigint not null references run (id) on delete cascade,
  table_oid oid not null,
  -- `oid:filenode` of the table, or of each of its partitions.
  files text[] not null,
  blocks bigint not null,
  trigger_oid oid not null,
  trigger_xmin text not null
);

-- Truncations of captured tables: written by their triggers, for a truncation has no rows to log. Nothing refers to
-- this, nothing is unique: what an application's transaction writes here cannot fail.
create table truncation (
  log_name text not null,
  at timestamptz not null default clock_timestamp()
);

-- Candidate sets: rows chosen for deletion, written down before the first delete. The keys are in a table of their own
-- in this schema, one for each set; here is what is known of it. A set has the number of the run that has written it.
create table candidate_set (
  run_id bigint primary key references run (id) on delete cascade,
  -- The table that the rows are of, and the one with their keys.
  schema_name text not null,
  table_name text not null,
  set_name text not null,
  -- The columns of the key, with their types.
  key jsonb not null,
  -- The names of the table's leaves; the keys have their positions.
  leaves jsonb not null,
  -- Under which rows become text and are fingerprinted.
  search_path text not null,
  condition text not null,
  -- Null until the set is complete.
  rows bigint,
  bytes bigint,
  written_at timestamptz,
  approved_by text,
  ticket text,
  approved_at timestamptz
);

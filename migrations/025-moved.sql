-- Partitions that are on another server: the table there has the token in its comment, by which we know that it is the one
-- that we made. It is dropped by a rotation that removes moved rows, once the foreign table here is.
create table moved_partition (
  server text not null,
  there_schema text not null,
  there_name text not null,
  token text not null,
  schema_name text not null,
  table_name text not null,
  table_oid oid,
  bounds text not null,
  -- Of a table that is partitioned by id: the newest time in it; -infinity where it had no row.
  newest timestamptz,
  moved_at timestamptz not null default clock_timestamp(),
  released_at timestamptz,
  primary key (server, there_schema, there_name)
);

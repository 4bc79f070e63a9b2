-- What policies say, from when on, and which weaker terms somebody has accepted. The latest of a table is in force.
create table policy (
  id bigint generated always as identity primary key,
  schema_name text not null,
  table_name text not null,
  terms jsonb not null,
  accepted text[] not null,
  since timestamptz not null default clock_timestamp(),
  recorded_by text not null default current_user
);

create index policy_by_table on policy (schema_name, table_name, id);

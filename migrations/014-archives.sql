-- Archives: written down before the first object, so that what an interrupted one has left in a store is known.
create table archive (
  -- The beginning of the names of its objects.
  id text primary key,
  run_id bigint references run (id) on delete set null,
  command text not null,
  -- The table that the command is on, and the relation whose rows are archived: of a rotation, a partition.
  schema_name text not null,
  table_name text not null,
  relation_oid oid not null,
  relation_schema text not null,
  relation_name text not null,
  -- Without credentials.
  store text not null,
  -- What changes when the relation is altered or rewritten; null where nobody asks.
  seal text,
  begun_at timestamptz not null default clock_timestamp(),
  -- Null until the receipt is in the store: then its objects are left over.
  receipt_uri text,
  receipt_sha256 text,
  receipt_at timestamptz,
  rows bigint,
  bytes bigint,
  -- What the removal document says, from the transaction that removed the rows; and when it was stored.
  removal jsonb,
  removal_at timestamptz
);

create index archive_by_table on archive (schema_name, table_name, begun_at);
create index archive_by_run on archive (run_id);

-- Relations that were written to since their rows were archived, or while they were.
create table archived_write (
  relation_oid oid not null,
  xact xid8 not null default pg_current_xact_id(),
  at timestamptz not null default clock_timestamp()
);

-- For a trigger on a detached partition. Each transaction leaves a mark of its own, and never waits: one with an old
-- snapshot would still see marks of others that have been deleted since, and leave none.
do $migration$ begin
  execute format($statement$
    create function %1$I.mark_archived_write() returns trigger language plpgsql security definer
      set search_path = pg_catalog, pg_temp as $function$
    begin
      if not exists (select from %1$I.archived_write w where w.relation_oid = tg_relid and w.xact = pg_current_xact_id()) then
        insert into %1$I.archived_write (relation_oid) values (tg_relid);
      end if;
      return null;
    end $function$ $statement$, current_schema());
end $migration$;

-- A partition whose rows are archived is detached before it is truncated.
alter table retirement drop constraint retirement_method_check,
  add constraint retirement_method_check check (method in ('drop', 'detach', 'truncate'));

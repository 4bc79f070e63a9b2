-- What a plan was made from: its steps, with their SQL, are made from that again when a run is resumed. Nothing that
-- is stored here is executed.
alter table run
  -- How situation and plan are to be read. In format 1 the steps were stored with their SQL.
  add column format integer not null default 1,
  -- Null once the run has ended.
  add column situation jsonb,
  -- Of the steps that were agreed to: another version may make others from the same situation.
  add column digest text,
  add column steps integer,
  -- Of a copy: the table that it was made from, which has this name from the swap on, and when that may go.
  add column source_oid oid,
  add column retired_schema text,
  add column retired_name text,
  add column retire_after interval;

update run set steps = jsonb_array_length(plan -> 'steps'),
  source_oid = coalesce(plan #>> '{rebuild,sourceOid}', plan #>> '{rebuild,former,oid}')::oid,
  retired_schema = plan #>> '{rebuild,retired,schema}', retired_name = plan #>> '{rebuild,retired,name}',
  -- PostgreSQL's intervals have no quarters.
  retire_after = case plan #>> '{rebuild,retireAfter,unit}'
    when 'quarter' then (plan #>> '{rebuild,retireAfter,count}')::int * interval '3 months'
    else ((plan #>> '{rebuild,retireAfter,count}') || ' ' || (plan #>> '{rebuild,retireAfter,unit}'))::interval end;

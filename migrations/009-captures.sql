-- What says that a change could not be caught: a sequence that has a value then, which needs neither a new page nor a
-- transaction. Who alters it, or the rights on it, gives its row in the catalogue another xmin. Null for a capture from
-- before it.
alter table capture add column gap_oid oid, add column gap_xmin text;

-- The triggers on partitions, each as `partition:trigger:xmin:state`: those that were there when the capture began, and those
-- on partitions that Ebb has made since. Any other comes from a partition whose rows were not all seen coming.
alter table capture add column leaves text[];

update capture s set leaves = array(
  select format('%s:%s:%s:%s', l.relid::oid, t.oid, t.xmin, t.tgenabled)
  from pg_trigger p cross join pg_partition_tree(p.tgrelid) l join pg_trigger t on t.tgrelid = l.relid and t.tgname = p.tgname
    join pg_class c on c.oid = l.relid join pg_namespace n on n.oid = c.relnamespace
  where p.oid = s.trigger_oid and l.isleaf and t.tgparentid <> 0
    and (t.xmin = p.xmin or exists (select from rotation r
      where r.partition_name = c.relname and r.action = 'created' and r.at > (select started_at from run where id = s.run_id)))
  order by 1);

-- Of a copy under way: the table that it fills. Another may get its name, and is not the run's to drop.
alter table run add column shadow_oid oid;

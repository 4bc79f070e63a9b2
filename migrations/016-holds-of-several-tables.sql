-- A restore of several tables holds rows of each.
drop index hold_by_run;
create index hold_by_run on hold (run_id);

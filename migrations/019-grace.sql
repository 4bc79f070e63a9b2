-- A partition that is detached may be dropped after a grace period only: since when it is detached, and how long it stays
-- then, as `7 days`; null: it is dropped at once. Its table and it are known by their oids as well, should they be renamed:
-- the row type of a partition tells another table of the same oid, in a database that was restored.
alter table retirement
  add column detached_at timestamptz,
  add column grace text,
  add column table_oid oid,
  add column row_type_oid oid,
  -- What holds of its rows because of its bounds: a CHECK that says so lets it be attached again without a scan.
  add column bounds_check text;

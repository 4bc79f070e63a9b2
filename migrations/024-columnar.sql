-- Partitions that are rewritten in columns: the table that they are copied into, from the transaction that makes and fills
-- it. Whether it has taken the place of the partition is recorded in the transaction that exchanges them, as detached_at.
alter table retirement drop constraint retirement_method_check,
  add constraint retirement_method_check check (method in ('drop', 'detach', 'truncate', 'move', 'columnar')),
  add column copy_oid oid;
alter table rotation drop constraint rotation_action_check,
  add constraint rotation_action_check
    check (action in ('created', 'detached', 'dropped', 'truncated', 'moved', 'rewritten', 'finalized', 'reattached'));

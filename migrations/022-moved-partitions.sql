-- Partitions that are moved to another server: their intention has a token, which the copy of its rows there has in its
-- comment. A copy without it is somebody else's, and is never replaced.
alter table retirement drop constraint retirement_method_check,
  add constraint retirement_method_check check (method in ('drop', 'detach', 'truncate', 'move')),
  add column token text;
alter table rotation drop constraint rotation_action_check,
  add constraint rotation_action_check
    check (action in ('created', 'detached', 'dropped', 'truncated', 'moved', 'finalized', 'reattached'));

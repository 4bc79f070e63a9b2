-- How a run was paced over time, and what others noticed of it. Intervals grow with the run, so there are at most some
-- hundred of one.
create table pace_interval (
  run_id bigint not null references run (id) on delete cascade,
  number int not null,
  from_at timestamptz not null,
  to_at timestamptz not null,
  -- Batches, chunks or ranges that were begun.
  turns int not null,
  -- Milliseconds, by reason.
  paused jsonb not null,
  -- The greatest that was seen; null where none was.
  lag_bytes bigint,
  lag_seconds double precision,
  -- Waits of others for our locks, counted when they were first seen, and the longest; null where they cannot be seen.
  waits int,
  longest_wait_ms double precision,
  primary key (run_id, number)
);

-- When it was done; null in entries of earlier versions.
alter table chunk add column at timestamptz;
alter table chunk alter column at set default clock_timestamp();
alter table comparison add column at timestamptz;
alter table comparison alter column at set default clock_timestamp();

-- For how long short locks were held, and for how long others may have waited because of them; null where there were none.
alter table step add column held_ms double precision, add column longest_wait_ms double precision;

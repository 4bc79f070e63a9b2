-- Runs that pace themselves, so that several share what one would use. A row that has not been renewed for a few
-- seconds counts for nothing, a crash may empty it; nobody's right to do anything hangs on it.
create unlogged table pace (
  -- The application_name of the run's sessions.
  holder text primary key,
  -- Waiting runs leave their share to the others.
  waiting boolean not null,
  beat_at timestamptz not null
);

-- The table that the pages are about: fourteen months of events, with the usual dependent objects.
create table users (id bigint generated always as identity primary key, name text not null);
insert into users (name) select 'user ' || n from generate_series(1, 100) n;

create table events (
  id bigint generated always as identity primary key,
  user_id bigint not null references users (id),
  kind text not null,
  created_at timestamptz not null default now()
);
create index events_created_at on events (created_at);
create view recent_events as select id, kind, created_at from events where created_at > now() - interval '1 day';
insert into events (user_id, kind, created_at)
  select 1 + n % 100, 'click', now() - interval '14 months' * (1 - n / 20000.0) from generate_series(1, 20000) n;
analyze;

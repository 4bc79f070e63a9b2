-- A little of everything that a shop keeps, for the page on which command does what.
create table events (id bigint generated always as identity primary key, created_at timestamptz not null default now());
insert into events (created_at) select now() - interval '14 months' * (1 - n / 5000.0) from generate_series(1, 5000) n;

create table logs (id bigint generated always as identity primary key, level text not null, at timestamptz not null);
insert into logs (level, at)
  select case when n % 9 = 0 then 'error' else 'debug' end, now() - n * interval '1 hour' from generate_series(1, 9000) n;
create index on logs (at);

create table users (id bigint generated always as identity primary key, deleted_at timestamptz);
create table sessions (id bigint generated always as identity primary key, user_id bigint not null references users);
create table payments (id bigint generated always as identity primary key, user_id bigint not null references users);
insert into users (deleted_at) select case when n % 4 = 0 then now() end from generate_series(1, 1000) n;
insert into sessions (user_id) select n from generate_series(1, 1000) n;
insert into payments (user_id) select n from generate_series(1, 1000, 7) n;
create index on sessions (user_id);
create index on payments (user_id);

create table experiments (id bigint primary key, archived_at timestamptz);
create table assignments (
  id bigint generated always as identity primary key,
  experiment_id bigint not null references experiments,
  seen_at timestamptz not null
);
insert into experiments select generate_series(1, 20);
insert into assignments (experiment_id, seen_at)
  select n % 20 + 1, now() - (n % 20) * interval '20 days' from generate_series(1, 2000) n;
create index on assignments (experiment_id, seen_at);

create table invoices (
  id bigint generated always as identity primary key,
  status text not null,
  created_at timestamptz not null,
  deleted_at timestamptz
);
insert into invoices (status, created_at)
  select case when n % 4 = 0 then 'void' else 'paid' end, now() - n * interval '1 hour' from generate_series(1, 4000) n;
analyze;

-- The table that the first steps are about: fourteen months of measurements.
create table readings (
  id bigint generated always as identity primary key,
  device_id int not null,
  taken_at timestamptz not null default now(),
  celsius numeric not null
);
create index on readings (taken_at);
insert into readings (device_id, taken_at, celsius)
  select n % 50, now() - interval '14 months' * (1 - n / 20000.0), n % 300 / 10.0 from generate_series(1, 20000) n;
analyze readings;
